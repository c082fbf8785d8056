import * as net from "node:net";
import { pipeline, type Duplex } from "node:stream";
import { ConnectError } from "../errors";

/**
 * A loopback port that leads to one already open byte stream.
 *
 * nats.js dials by itself and keeps a socket whose server never answers open for good. Behind a relay the way to the
 * server is ours: a port-forward and a direct connection look the same, dialling fails with our own errors, and closing
 * the relay closes everything.
 */
export interface Relay {
  readonly port: number;
  /** Bytes that came from the far side so far. */
  received(): number;
  /** The server's last word, where it said why it hangs up, and TLS did not hide it; its client may be writing then and not read it. */
  lastWord(): string | undefined;
  /** Why the far side broke, where it did and knows. */
  failure(): ConnectError | undefined;
  close(): void;
}

/** Bytes at the end that hold an error. */
const TAIL_BYTES = 256;

/** Serves exactly one local connection; `remote` is closed with it. */
export async function openRelay(remote: Duplex): Promise<Relay> {
  let received = 0;
  let tail = "";
  let local: net.Socket | undefined;
  const listener = net.createServer((socket) => {
    listener.close();
    local = socket;
    socket.setNoDelay(true);
    remote.on("data", (chunk: Buffer) => {
      received += chunk.length;
      tail = (tail + chunk.toString("latin1", Math.max(0, chunk.length - TAIL_BYTES))).slice(-TAIL_BYTES);
    });
    pipeline(socket, remote, socket, () => {
      socket.destroy();
      remote.destroy();
    });
  });
  remote.on("error", () => undefined); // kept in `errored`; without a listener it would end the process
  const close = (): void => {
    listener.close();
    local?.destroy();
    remote.destroy();
  };
  try {
    await new Promise<void>((resolve, reject) => {
      listener.once("error", reject);
      listener.listen(0, "127.0.0.1", resolve);
    });
  } catch (error) {
    close();
    throw error;
  }
  const { port } = listener.address() as net.AddressInfo;
  const failure = (): ConnectError | undefined => (remote.errored instanceof ConnectError ? remote.errored : undefined);
  const lastWord = (): string | undefined => /-ERR '([^'\r\n]*)'\r?\n?$/.exec(tail)?.[1];
  return { port, received: () => received, lastWord, failure, close };
}
