/** A publisher that writes headers byte by byte, as clients of other languages may. */
import * as net from "node:net";
import { sleep } from "../../../support/nats";

export interface RawMessage {
  readonly subject: string;
  /** The block of headers, from `NATS/1.0` to the empty line. */
  readonly head: string | Buffer;
  readonly body: string;
}

/** What was acknowledged, and what was refused or not answered, with the reason. */
export interface RawPublisher {
  readonly accepted: string[];
  readonly refused: string[];
  stop(): Promise<void>;
}

/** One message of a server, and how many bytes of the buffer it takes; undefined where it is not whole yet. */
function messageIn(buffer: Buffer): { line: string; text: string; length: number } | undefined {
  const end = buffer.indexOf("\r\n");
  if (end < 0) return undefined;
  const line = buffer.subarray(0, end).toString();
  const size = /^H?MSG .* (\d+)$/.exec(line)?.[1];
  if (size === undefined) return { line, text: "", length: end + 2 };
  const length = end + 2 + Number(size) + 2;
  return buffer.length < length ? undefined : { line, text: buffer.subarray(end + 2, length - 2).toString(), length };
}

/** Publishes what `make` gives for 1, 2, 3, ... every few milliseconds. */
export function rawPublisher(
  { port }: { port: number },
  make: (number: number) => RawMessage,
  every = 3,
): RawPublisher {
  const socket = net.connect(port, "127.0.0.1");
  const accepted: string[] = [];
  const refused: string[] = [];
  const waiting = new Map<string, string>();
  let buffer = Buffer.alloc(0);
  socket.on("error", (error) => refused.push(error.message));
  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    for (let found = messageIn(buffer); found; found = messageIn(buffer)) {
      const { line, text, length } = found;
      buffer = buffer.subarray(length);
      if (line.startsWith("PING")) socket.write("PONG\r\n");
      if (line.startsWith("-ERR")) refused.push(line);
      const [, reply = ""] = line.split(" ");
      const body = waiting.get(reply);
      if (!/^H?MSG /.test(line) || body === undefined) continue;
      waiting.delete(reply);
      if (/"error"|NATS\/1\.0 503/.test(text)) refused.push(`${body}: ${text}`);
      else accepted.push(body);
    }
  });
  socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB inbox.raw.> 1\r\n');
  let going = true;
  const loop = (async () => {
    for (let number = 1; going; number++) {
      const { subject, head, body } = make(number);
      const reply = `inbox.raw.${number}`;
      waiting.set(reply, body);
      const bytes = Buffer.isBuffer(head) ? head : Buffer.from(head, "latin1");
      const data = Buffer.from(body);
      const line = `HPUB ${subject} ${reply} ${bytes.length} ${bytes.length + data.length}\r\n`;
      socket.write(Buffer.concat([Buffer.from(line), bytes, data, Buffer.from("\r\n")]));
      await sleep(every);
    }
  })();
  const stop = async (): Promise<void> => {
    going = false;
    await loop;
    for (let tries = 0; waiting.size > 0 && tries < 200; tries++) await sleep(50);
    for (const body of waiting.values()) refused.push(`${body}: no answer`);
    socket.destroy();
  };
  return { accepted, refused, stop };
}
