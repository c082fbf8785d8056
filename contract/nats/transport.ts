/** The way to a NATS server, open but without a word of NATS yet: through a cluster, or straight to an address. */
import * as net from "node:net";
import type { Duplex } from "node:stream";
import { serviceHost } from "../facts";
import { clusterAccess } from "../kubernetes/api";
import { findPod, forwardPort } from "./port-forward";
import { within, type Deadline } from "../deadline";
import { ConnectError } from "../errors";
import { parseServer, type ClusterConnection } from "../inputs";

/** An open way to one NATS server. */
export interface Transport {
  /** The far side in words, for messages and outputs. */
  readonly server: string;
  readonly stream: Duplex;
  /** Host name, or address, that the server's certificate must carry. */
  readonly host: string;
  /** True where the address itself asks for TLS. */
  readonly tls: boolean;
}

/** Through a port-forward to a ready pod.  @throws ConnectError */
export async function dialPortForward(connection: ClusterConnection, deadline: Deadline): Promise<Transport> {
  const { namespace, service } = connection;
  const config = await clusterAccess(connection);
  const cluster = config.getCurrentCluster()?.server ?? "";
  const { pod, port } = await within(
    deadline.step(),
    `the Kubernetes API at ${cluster} to name a ready NATS pod`,
    (signal) => findPod(config, connection, signal),
  );
  const milliseconds = deadline.step();
  const what = `the Kubernetes API at ${cluster} to open a port-forward to pod ${namespace}/${pod}`;
  const stream = await within(milliseconds, what, (signal) =>
    forwardPort(config, { namespace, pod, port }, { milliseconds, signal }),
  );
  return { server: `pod ${namespace}/${pod} port ${port}`, stream, host: serviceHost(service, namespace), tls: false };
}

/** Straight to a server.  @throws ConnectError */
export async function dialServer(address: string, deadline: Deadline): Promise<Transport> {
  const parsed = parseServer(address);
  if (!parsed) throw new Error("the server address was not checked");
  const { host, port, tls } = parsed;
  const server = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  const stream = await within(deadline.step(), `${server} to accept the connection`, (signal) =>
    dial({ host, port, signal }, server),
  );
  return { server, stream, host, tls };
}

function dial(to: { host: string; port: number; signal: AbortSignal }, server: string): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ ...to, noDelay: true });
    socket.once("connect", () => resolve(socket));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      const unknownHost = error.code === "ENOTFOUND" || error.code === "EAI_AGAIN";
      reject(
        unknownHost
          ? new ConnectError("host-unknown", `the host of ${server} is unknown`)
          : new ConnectError(
              "refused",
              `${server} refuses the connection (${error.code ?? error.message}): is NATS running there?`,
            ),
      );
    });
  });
}
