import { StorageType } from "nats";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Deadline } from "../../../../contract/deadline";
import { openSession } from "../../../../contract/nats/connect";
import { untilStored } from "../../../../commands/doctor/repair/messages";
import { natsClient, onceElected, withManager } from "../../../support/nats";
import { NatsCluster } from "../../../support/nats-cluster";
import { repairInputs } from "./repair-support";

const COUNT = 5_000;
const ROUNDS = 5;
/** On a machine that is busy with something else the request overtakes less often. */
const MOST_ROUNDS = 100;

let cluster: NatsCluster;
beforeAll(async () => {
  cluster = await NatsCluster.start();
});
afterAll(() => cluster.stop());

it.each([1, 3])(
  "all that a stream of %i replicas was sent is stored then, which its state did not tell",
  async (replicas) => {
    const server = cluster.any();
    const config = {
      name: `R${replicas}`,
      subjects: [`r${replicas}.>`],
      storage: StorageType.File,
      num_replicas: replicas,
    };
    await onceElected("the stream", () => withManager(server, (manager) => manager.streams.add(config)));
    await onceElected("the stream", () => withManager(server, (manager) => manager.streams.info(config.name)));
    const session = await openSession(repairInputs(server), new Deadline(20_000));
    const publisher = await natsClient(server);
    const stored = async () => (await session.streamInfo(config.name, new Deadline(20_000)))?.state.last_seq;
    try {
      // How the server's threads race is theirs: the request has to overtake once, and what is awaited has to be there each time.
      let overtaken = false;
      for (let round = 1; round <= ROUNDS || (!overtaken && round <= MOST_ROUNDS); round++) {
        for (let number = 0; number < COUNT; number++) publisher.publish(`r${replicas}.${number}`, "x".repeat(100));
        await publisher.flush();
        overtaken ||= (await stored()) !== round * COUNT;
        await untilStored(session, config.name);
        expect(await stored()).toBe(round * COUNT);
      }
      expect(overtaken).toBe(true);
    } finally {
      await Promise.all([session.close(), publisher.close()]);
    }
  },
  180_000,
);
