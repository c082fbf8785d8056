/**
 * Before NoETL is installed or upgraded: will it be able to make its stream and consumer, and to use what it finds? Helm would
 * otherwise wait for pods that crash-loop, and end with "context deadline exceeded" after minutes.
 */
import type { StreamConfig, StreamInfo } from "nats";
import { observe, retrying } from "./check";
import { openSession } from "./connect";
import { Deadline } from "./deadline";
import { streamConfig } from "./desired";
import { ConnectError } from "./errors";
import type { ContractInputs } from "./inputs";
import { contractMessage } from "./message";
import { podsOf, previousLog } from "./pods";
import { judge, type Verdict } from "./rules";
import type { Session } from "./session";

/** How long NATS is given to answer, in seconds; it has just been deployed. */
const PREFLIGHT_SECONDS = 30;

/** What was found before NoETL is touched. */
export type Preflight =
  /** Nothing that is known of stands in NoETL's way. */
  | { readonly result: "clear" }
  /** NoETL would not work; why, and how to fix it. */
  | { readonly result: "blocked"; readonly report: string }
  /** NATS could not be asked, which is not NoETL's trouble yet. */
  | { readonly result: "unasked"; readonly why: string };

/**
 * What NoETL's start does not put right: violations for which waiting makes no sense. The gateway's part is left out, which is
 * not NoETL's.
 */
export const standsInTheWay = ({ ok, severity, waits }: Verdict): boolean =>
  !ok && severity === "violation" && waits === undefined;

/** Asks, and changes nothing. */
export async function preflight(inputs: ContractInputs): Promise<Preflight> {
  const { gateway: _gateway, ...noetl } = inputs;
  const asked = { ...noetl, timeoutSeconds: Math.min(inputs.timeoutSeconds, PREFLIGHT_SECONDS) };
  try {
    return await retrying(asked, async (deadline) => {
      const session = await openSession(asked, deadline);
      try {
        return await ask(session, asked, deadline);
      } finally {
        await session.close();
      }
    });
  } catch (error) {
    if (error instanceof ConnectError) return { result: "unasked", why: error.message };
    throw error;
  }
}

async function ask(session: Session, inputs: ContractInputs, deadline: Deadline): Promise<Preflight> {
  const { observed } = await observe(session, inputs, deadline);
  const server = `${session.server} (nats-server ${session.serverVersion})`;
  const blocking = judge(inputs, observed).filter(standsInTheWay);
  if (blocking.length > 0) {
    const stored = observed.stream?.state.messages ?? 0;
    return { result: "blocked", report: contractMessage(inputs, blocking, server, stored) };
  }
  if (observed.stream) return { result: "clear" };
  const refusal = await streamRefusal(session, inputs, deadline);
  if (refusal === undefined) return { result: "clear" };
  return {
    result: "blocked",
    report:
      `NoETL will not be able to create stream ${inputs.stream} in ${inputs.expect.storage} storage at ${server}: ` +
      `${refusal}. ${REMEDY}`,
  };
}

const REMEDY =
  "Give JetStream a store of that kind with room left (natsJetstreamMemSize, natsJetstreamFileSize; `max_memory_store` and " +
  "`max_file_store` of a NATS of your own), or remove the stream that has reserved it (`nats stream report`)";

/** Name of a stream that is never created. */
const TRIAL = "NOETL_NATS_TRIAL_NEVER_CREATED";
const SUBJECTS_OVERLAP = 10065;

interface Created {
  readonly error?: { readonly err_code?: number; readonly description?: string };
}

/**
 * Why the server would refuse the stream, in its own words; undefined where it would not, or where that cannot be tried. The
 * server looks for room before it looks for overlapping subjects: asked for a stream on the subjects of one that exists, it
 * names what lacks, or the overlap where nothing does, and creates nothing. A cluster looks the other way round, and is not
 * told apart: it names the overlap.
 */
async function streamRefusal(
  session: Session,
  inputs: ContractInputs,
  deadline: Deadline,
): Promise<string | undefined> {
  const taken = await takenSubject(session, deadline);
  if (taken === undefined) return undefined;
  const body: Partial<StreamConfig> = { ...streamConfig(inputs), name: TRIAL, subjects: [taken] };
  const answer = await request<Created>(session, `STREAM.CREATE.${TRIAL}`, deadline, body);
  if (answer === undefined) return undefined;
  if (answer.error === undefined) {
    // The other stream went away in between.
    await request(session, `STREAM.DELETE.${TRIAL}`, deadline);
    return undefined;
  }
  const { err_code: code = 0, description = "no reason given" } = answer.error;
  return code === SUBJECTS_OVERLAP ? undefined : `${description} (${code})`;
}

/** A subject that a stream of this account takes. */
async function takenSubject(session: Session, deadline: Deadline): Promise<string | undefined> {
  const answer = await request<{ streams?: { config: StreamConfig }[] | null }>(session, "STREAM.LIST", deadline);
  return answer?.streams?.flatMap(({ config }) => config.subjects ?? [])[0];
}

/** A stream that a restart of its server takes along. */
export interface Loss {
  readonly name: string;
  readonly messages: number;
}

/** The streams that one server alone keeps in memory, by name; undefined where they cannot be asked for. */
export async function memoryStreams(inputs: ContractInputs): Promise<Loss[] | undefined> {
  const deadline = new Deadline(LOOK_SECONDS * 1000);
  try {
    const session = await openSession(inputs, deadline);
    try {
      const answer = await request<{ streams?: StreamInfo[] | null }>(session, "STREAM.LIST", deadline);
      return answer?.streams
        ?.filter(({ config }) => String(config.storage) === "memory" && config.num_replicas === 1)
        .map(({ config, state }) => ({ name: config.name, messages: state.messages }))
        .sort((a, b) => a.name.localeCompare(b.name));
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}

/** One question to the JetStream API; undefined where the login may not ask, or no answer comes. */
async function request<T extends object>(
  session: Session,
  subject: string,
  deadline: Deadline,
  body?: object,
): Promise<T | undefined> {
  try {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const answer = await session.connection.request(`$JS.API.${subject}`, payload, { timeout: deadline.step(3_000) });
    return answer.json<T>();
  } catch {
    return undefined;
  }
}

/** Pods that crash more often than while they wait for one another. */
const CRASHES = 2;

/** Something that keeps NoETL from becoming ready. */
export interface Hindrance {
  /** The same for the same trouble. */
  readonly id: string;
  readonly message: string;
}

/** What keeps NoETL from becoming ready while Helm waits for it: the contract, and the last words of pods that crash. */
export async function hindrances(inputs: ContractInputs): Promise<Hindrance[]> {
  const found: Hindrance[] = [];
  const { result, ...why } = await preflight({ ...inputs, timeoutSeconds: LOOK_SECONDS });
  if (result === "blocked" && "report" in why) found.push({ id: "contract", message: why.report });
  const pods = (await podsOf(inputs, new Deadline(LOOK_SECONDS * 1000)))?.noetl ?? [];
  for (const { name, container, ready, restarts, ended } of pods) {
    if (ready || restarts < CRASHES || container === undefined) continue;
    const words = await lastWordsOf(inputs, name, container);
    const message = `pod ${name} has ended ${restarts} times (${ended ?? "no reason given"})${words}`;
    found.push({ id: name, message });
  }
  return found;
}

/** How long one look beside Helm's wait may take, in seconds. */
const LOOK_SECONDS = 3;

async function lastWordsOf(inputs: ContractInputs, pod: string, container: string): Promise<string> {
  const log = await previousLog(inputs, pod, container, new Deadline(LOOK_SECONDS * 1000));
  const line = log === undefined ? undefined : lastSentence(log);
  if (line === undefined) return "";
  const secrets = [inputs.password, inputs.gateway?.password].filter((secret) => secret !== undefined && secret !== "");
  const shown = secrets.reduce<string>((text, secret = "") => text.replaceAll(secret, "***"), line);
  return `; its last words: ${shown.replace(/(:\/\/[^\s:@/]*:)[^\s@/]+(?=@)/g, "$1***")}`;
}

/** Longest part of a line that is shown. */
const LINE_LENGTH = 400;

/** The last line of a log; of NoETL's JSON lines the message, and the last line of the traceback in it. */
export function lastSentence(log: string): string | undefined {
  const last = log.trim().split("\n").at(-1)?.trim();
  if (last === undefined || last === "") return undefined;
  const sentence = last.startsWith("{") ? sentenceOfJson(last) : last;
  return sentence.length > LINE_LENGTH ? `${sentence.slice(0, LINE_LENGTH)}...` : sentence;
}

function sentenceOfJson(line: string): string {
  try {
    const { message, exception, exc_info: info } = JSON.parse(line) as Record<string, unknown>;
    const traceback = [exception, info].find((value) => typeof value === "string" && value !== "") as
      string | undefined;
    const texts = [message, traceback?.trim().split("\n").at(-1)].filter((value) => typeof value === "string");
    return texts.length > 0 ? [...new Set(texts)].join(": ").replace(/\s+/g, " ") : line;
  } catch {
    return line;
  }
}
