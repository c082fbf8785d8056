/**
 * Loaded before a pod's own script (`node --require`): connections to in-cluster addresses go to the ports of 127.0.0.1 that
 * stand for them, and the host has the pod's name. The script itself knows nothing of it.
 */
import * as fs from "node:fs";
import * as net from "node:net";
// The module itself, whose function is replaced; a namespace of it cannot be written to.
import os = require("node:os");

/** A port on which nothing listens, for Services behind which nothing is ready. */
const REFUSES = 1;

function leadsTo(host: string | undefined, port: number | string | undefined): number | undefined {
  try {
    const names = JSON.parse(fs.readFileSync(process.env.EMBEDDED_NAMES ?? "", "utf8")) as Record<string, number>;
    const found = names[`${host}:${port}`];
    return found === undefined ? undefined : found || REFUSES;
  } catch {
    return undefined;
  }
}

type Connect = (this: net.Socket, options: unknown, ...rest: unknown[]) => net.Socket;

const prototype = net.Socket.prototype as unknown as { connect: Connect };
const { connect } = prototype;
prototype.connect = function (options, ...rest) {
  // Node's own callers hand over what they have already read of their arguments, as a list.
  const [given] = (Array.isArray(options) ? options : [options]) as [net.TcpSocketConnectOpts];
  const port = typeof given === "object" ? leadsTo(given.host, given.port) : undefined;
  if (port !== undefined) Object.assign(given, { host: "127.0.0.1", port });
  return connect.call(this, options, ...rest);
};

if (process.env.EMBEDDED_HOSTNAME) {
  const name = process.env.EMBEDDED_HOSTNAME;
  os.hostname = () => name;
}
