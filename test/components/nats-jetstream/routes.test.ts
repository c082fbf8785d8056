import { afterEach, expect, it } from "vitest";
import { natsValues, routeSecret } from "../../../components/nats-jetstream/values";
import { freePorts } from "../../../embedded/cluster/ports";
import { type NatsServer, startNatsServer, until } from "../../support/nats";

const servers: NatsServer[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

interface Values {
  config: { cluster: { merge: object } };
  container: { env: Record<string, { valueFrom?: { secretKeyRef: { key: string } } }> };
}

/** The part of nats.conf about the cluster, as the chart writes it, and the environment that the pod gets. */
function deployed(password: string) {
  const sizes = { fileStoreSize: "1Gi", memoryStoreSize: "64Mi", memoryLimit: "256Mi" };
  const { config, container } = natsValues({
    ...sizes,
    usersSecret: "nats-users",
    box: { user: "noetl", secret: "nats-box" },
    replicas: 3,
    routeSecret: "nats-routes",
  }) as unknown as Values;
  const keys = routeSecret(password, 3);
  return {
    merged: JSON.stringify(config.cluster.merge).replace(/"<< (\$\w+) >>"/g, "$1"),
    env: Object.fromEntries(
      Object.entries(container.env).flatMap(([name, { valueFrom }]) => {
        const value = keys[valueFrom?.secretKeyRef.key ?? ""];
        return value === undefined ? [] : [[name, value]];
      }),
    ),
  };
}

/** Names of the servers that one has routes to. */
async function routesOf(monitor: number): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${monitor}/routez`);
  const { routes } = (await response.json()) as { routes: { remote_name: string }[] };
  return [...new Set(routes.map(({ remote_name: name }) => name))];
}

// A password that nats.conf would take for a size, were it not quoted.
it.each(["s3cretPassword", "7k"])(
  "a server joins the cluster with the login of its Secret alone: %s",
  async (password) => {
    const { merged, env } = deployed(password);
    const [monitor = 0, cluster = 0, ...others] = await freePorts(5);
    // The hosts of the pods, here all the first server's.
    const routes = (env.NATS_ROUTES ?? "").replace(/@nats-\d\.nats-headless:6222/g, `@127.0.0.1:${cluster}`);
    const start = async (name: string, at: number, block: string, variables: Record<string, string>) => {
      const config = `server_name: ${name}${name === "first" ? `, http: "127.0.0.1:${monitor}"` : ""}
      cluster { name: nats, listen: "127.0.0.1:${at}", ${block} }`;
      servers.push(await startNatsServer({ config, env: variables }));
    };
    const own = { ...env, NATS_ROUTES: routes };
    await start("first", cluster, merged.slice(1, -1), own);
    const stranger = `routes: ["nats://127.0.0.1:${cluster}"]`;
    await start("stranger", others[0] ?? 0, stranger, {});
    await start("guesser", others[1] ?? 0, stranger.replace("nats://", "nats://route:wrong@"), {});
    await start("second", others[2] ?? 0, merged.slice(1, -1), own);
    await until("the second server's route", async () =>
      (await routesOf(monitor)).includes("second") ? true : undefined,
    );
    // The others have had their chance: they came first.
    expect(await routesOf(monitor)).toEqual(["second"]);
  },
);
