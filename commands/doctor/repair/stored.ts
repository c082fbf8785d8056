/** What a stream has stored, to be compared with what was published: each message counts once. */
import type { StreamConfig } from "nats";
import { storedSubjects, subjectsCover, type SubjectTransform } from "../../../contract/subjects";
import { contentOf, type Message } from "./messages";

type Content = Pick<Message, "subject" | "headers" | "data">;

const withoutSubject = (message: Content): string => contentOf({ ...message, subject: "" });

/** How a stream names what it stores; undefined where under the subject that it was published on. */
const transformIn = ({ subject_transform: transform }: Partial<StreamConfig>): SubjectTransform | undefined =>
  transform && { src: transform.src ?? "", dest: transform.dest ?? "" };

export class Stored {
  /** Subjects by the rest of the message. */
  private readonly subjects = new Map<string, string[]>();
  private readonly transform: SubjectTransform | undefined;

  /** @param config Of the stream, which may store messages under another subject than they were published on. */
  constructor(config: Partial<StreamConfig> = {}) {
    this.transform = transformIn(config);
  }

  add(message: Content): void {
    const content = withoutSubject(message);
    this.subjects.set(content, [...(this.subjects.get(content) ?? []), message.subject]);
  }

  /** Takes what a message was stored as; false where it is not there, or was taken already. */
  take(message: Content): boolean {
    const found = this.subjects.get(withoutSubject(message)) ?? [];
    const names = storedSubjects(message.subject, this.transform);
    const index = found.findIndex((subject) => subjectsCover(names, subject));
    if (index < 0) return false;
    found.splice(index, 1);
    return true;
  }
}

/** The messages that the stream does not have yet, out of a batch that an interruption cut off. */
export function unwritten<T extends Content>(
  batch: readonly T[],
  present: readonly Message[],
  config?: Partial<StreamConfig>,
): T[] {
  const stored = new Stored(config);
  for (const message of present) stored.add(message);
  return batch.filter((message) => !stored.take(message));
}
