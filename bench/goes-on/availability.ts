/** Three servers, the stream and the consumer that mode `ensure` makes, and what happens to commands while servers go. */
import { connect } from "nats";
import { ensureContract, withDefaults } from "../../contract";
import { STREAM } from "../../contract/facts";
import { ensureTools } from "../../embedded/toolchain";
import type { Row } from "../table";
import { Cluster, until } from "./servers";
import { Load, type Outcome } from "./load";

/** Commands a second. */
const PER_SECOND = 500;
/**
 * Longest time without an acknowledged publish while the stream has a leader, in seconds. A server that is asked to stop hands its
 * leaderships over. After a kill the others wait 4 to 9 s, by chance, before one of them asks to be the leader, and again where the
 * votes are split (nats-server, raft.go: no setting changes it).
 */
export const GAP_SECONDS = 5;

/** What happens while commands flow. */
export type Event = "rolling restart" | "kill -9 of the stream's leader";

/** Seconds from now until the stream has a leader, which alone answers. */
async function leaderless(addresses: readonly string[]): Promise<number> {
  const since = performance.now();
  const connection = await connect({ servers: [...addresses], reconnectTimeWait: 100, maxReconnectAttempts: -1 });
  try {
    const manager = await connection.jetstreamManager({ checkAPI: false, timeout: 500 });
    await until("the stream to have a leader", () =>
      manager.streams.info(STREAM.name).then(
        () => true,
        () => false,
      ),
    );
    return (performance.now() - since) / 1000;
  } finally {
    await connection.close();
  }
}

async function leaderOf(addresses: readonly string[]): Promise<string> {
  const connection = await connect({ servers: [...addresses] });
  try {
    const manager = await connection.jetstreamManager({ checkAPI: false });
    let leader: string | undefined;
    // Nobody answers while there is none.
    await until("the stream to have a leader", async () => {
      leader = await manager.streams.info(STREAM.name).then(
        ({ cluster }) => cluster?.leader,
        () => undefined,
      );
      return leader !== undefined;
    });
    return leader ?? "";
  } finally {
    await connection.close();
  }
}

export interface Endured extends Outcome {
  /** How long the stream had no leader, in seconds; 0 where its leadership was handed over. */
  readonly leaderlessSeconds: number;
}

/** Runs a cluster with the contract ensured in three copies, and each event under load. */
export async function goesOn(storage: "memory" | "file", events: readonly Event[]): Promise<Map<Event, Endured>> {
  const { "nats-server": binary } = await ensureTools(["nats-server"]);
  const cluster = await Cluster.start(binary);
  try {
    const inputs = withDefaults({
      connection: { servers: cluster.addresses },
      mode: "ensure",
      expect: { replicas: 3, storage },
      timeoutSeconds: 60,
    });
    const { holds, report } = await ensureContract(inputs);
    if (!holds) throw new Error(report);
    const outcomes = new Map<Event, Endured>();
    for (const event of events) {
      const load = await Load.start(cluster.addresses, PER_SECOND);
      let leaderlessSeconds = 0;
      try {
        await load.flows(PER_SECOND);
        if (event === "rolling restart") await cluster.roll();
        else {
          await cluster.kill(await leaderOf(cluster.addresses));
          leaderlessSeconds = await leaderless(cluster.addresses);
        }
        // The gap has an end only where publishing goes on.
        await load.flows(PER_SECOND);
        for (const name of cluster.names) await cluster.inStep(name);
      } finally {
        outcomes.set(event, { ...(await load.end()), leaderlessSeconds });
      }
    }
    return outcomes;
  } finally {
    await cluster.stop();
  }
}

/** The longest gap without the time for which there was no leader, in seconds. */
export const gapWithLeader = ({ gapSeconds, leaderlessSeconds }: Endured): number =>
  Math.max(0, gapSeconds - leaderlessSeconds);

/** The figures as rows of a table, with what is promised. */
export async function availabilityRows(storage: "memory" | "file"): Promise<Row[]> {
  const outcomes = await goesOn(storage, ["rolling restart", "kill -9 of the stream's leader"]);
  return [...outcomes].flatMap(([event, outcome]) => {
    const what = (figure: string): string => `${event}, 3 servers, ${storage}: ${figure}`;
    return [
      { what: what("longest gap"), measured: outcome.gapSeconds, unit: "s" },
      { what: what("of it without a leader"), measured: outcome.leaderlessSeconds, unit: "s" },
      { what: what("the rest of it"), measured: gapWithLeader(outcome), unit: "s", limit: GAP_SECONDS },
      { what: what("acknowledged commands lost"), measured: outcome.lost, unit: "", limit: 0 },
      { what: what("publishes refused"), measured: outcome.refused, unit: "" },
      { what: what("most deliveries of one command"), measured: outcome.deliveries, unit: "", limit: 1000 },
      { what: what("commands acknowledged"), measured: outcome.acknowledged, unit: "" },
    ];
  });
}
