import * as fs from "node:fs";
import * as path from "node:path";
import { CreateError, type Program } from "../container";
import { openFolder } from "../places";
import { postgres } from "./postgres";
import type { Situation } from "./situation";

const CONFIG = "/etc/pgbouncer/pgbouncer.ini";

/**
 * Stands in for PgBouncer, the Auth Proxy and the Cloud SQL instance behind them: a real Postgres whose administrator has
 * the name that the deployed configuration gives sessions to, and the password of the deployed user list.
 */
export async function pgbouncer(situation: Situation): Promise<Program> {
  const { pod, container, sources } = situation;
  const config = (await situation.mounts())(CONFIG);
  if (config === undefined) throw new CreateError("CreateContainerError", `nothing is mounted at ${CONFIG}`);
  const admin = /^(\S+) = pool_mode=session$/m.exec(fs.readFileSync(config, "utf8"))?.[1] ?? "";
  const secret = pod.spec?.volumes?.find(({ secret: mounted }) => mounted)?.secret?.secretName ?? "";
  // Mounted Secrets are not written to this machine's disk; as a variable the same text can be had.
  const users = { name: "USERS", valueFrom: { secretKeyRef: { name: secret, key: "userlist.txt" } } };
  const { USERS = "" } = await sources.environment({ ...container, env: [users] });
  const password = new RegExp(`^"${admin}" "([^"]*)"$`, "m").exec(USERS)?.[1] ?? "";
  const data = path.join(openFolder(situation.dir), "cloud-sql");
  return postgres({
    ...situation,
    sources: Object.assign(Object.create(sources) as Situation["sources"], {
      environment: () => Promise.resolve({ POSTGRES_USER: admin, POSTGRES_PASSWORD: password, PGDATA: data }),
    }),
    mounts: () => Promise.resolve((file: string) => file),
  });
}
