/** Passwords of every alphabet, in a repair that logs in with them: in nothing that it says, asks or leaves behind. */
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { intentText } from "../../../../commands/doctor/present";
import { checkContract } from "../../../../contract";
import { fixCommands } from "../../../../contract/message";
import { usersText } from "../../../../contract/nats/users";
import { foundIn, plantedSecrets } from "../../../support/canaries";
import {
  JETSTREAM,
  rejection,
  removeStreams,
  startNatsServer,
  withManager,
  type NatsServer,
} from "../../../support/nats";
import { newFolder, repairInputs, runRepair } from "./repair-support";

const { secrets } = plantedSecrets(13);
const logins = secrets.map((password, index) => ({ user: `user${index}`, password }));

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer({ config: `${JETSTREAM}\nauthorization { ${usersText(logins)} }` });
});
afterAll(() => server.stop());

/** Texts of all files below a folder. */
const filesIn = (folder: string): string =>
  fs.existsSync(folder)
    ? fs
        .readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((each) => each.isFile())
        .map((each) => fs.readFileSync(path.join(each.parentPath, each.name), "latin1"))
        .join("\n")
    : "";

it.each(logins)("of $user", async (login) => {
  const options = { user: login.user, pass: login.password };
  await removeStreams(server, options);
  await withManager(
    server,
    (manager) =>
      manager.streams.add({ name: "NOETL_COMMANDS", subjects: ["noetl.commands"], retention: "workqueue" as never }),
    options,
  );
  const folder = newFolder();
  try {
    const noetlLogin = { ...login, worker: login };
    const inputs = repairInputs(server, undefined, { ...login, noetlLogin, gateway: { ...login } });
    const { report } = await checkContract({ ...inputs, timeoutSeconds: 1 });
    expect(report).toContain("stream-retention");
    const said: string[] = [];
    const files: string[] = [];
    const { intents } = await runRepair(inputs, folder, { said, at: () => files.push(filesIn(folder)) });
    expect(intents).toHaveLength(1);
    expect(files.join("")).toContain("NOETL_COMMANDS");
    const refused = await rejection(runRepair({ ...inputs, password: `${login.password}y` }, folder));
    const commands = fixCommands(inputs, [{ action: "recreate-stream" }]);
    const asked = intents.map((intent) => intentText(intent, { colour: false, width: 100_000 }));
    const all = [report, ...said, ...asked, ...files, ...commands, refused.message, JSON.stringify(intents)];
    expect(foundIn(all.join("\n"), secrets)).toEqual([]);
  } finally {
    fs.rmSync(path.dirname(folder), { recursive: true, force: true });
  }
});
