import * as fs from "node:fs";

/** What Kubernetes keeps of a log as the message of a container that ended. */
const MESSAGE_LINES = 80;
const MESSAGE_BYTES = 2048;

/**
 * The log of a container, in the format that container runtimes write and kubelets read, and the log of the container
 * that ran before it. Both files are there from the start, so that a log can be asked for at any time.
 */
export class ContainerLog {
  readonly file: string;
  readonly previousFile: string;
  private partial = "";
  private tail: string[] = [];

  constructor(folder: string, container: string) {
    this.file = `${folder}/${container}.log`;
    this.previousFile = `${folder}/${container}.previous.log`;
    fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const file of [this.file, this.previousFile]) fs.writeFileSync(file, "", { mode: 0o600 });
  }

  /** A container starts: its log is empty. */
  begin(): void {
    this.partial = "";
    this.tail = [];
    // A new file, not an emptied one: the old one may have another name by now.
    fs.rmSync(this.file, { force: true });
    fs.writeFileSync(this.file, "", { mode: 0o600 });
  }

  write(text: string): void {
    const lines = (this.partial + text).split("\n");
    this.partial = lines.pop() ?? "";
    const now = new Date().toISOString();
    fs.appendFileSync(this.file, lines.map((line) => `${now} stdout F ${line}\n`).join(""), { mode: 0o600 });
    this.tail = [...this.tail, ...lines].slice(-MESSAGE_LINES);
  }

  /** The container has ended: from now on its log is also the previous one. */
  end(): void {
    if (this.partial) this.write("\n");
    fs.rmSync(this.previousFile, { force: true });
    fs.linkSync(this.file, this.previousFile);
  }

  /** The end of the log as plain text, as much of it as a container's message may hold. */
  message(): string {
    return Buffer.from(this.tail.join("\n").trim()).subarray(-MESSAGE_BYTES).toString("utf8");
  }
}
