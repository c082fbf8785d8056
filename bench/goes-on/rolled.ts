/** Workers replaced at load, as a Deployment does it: a new one, then the end of an old one by the chart's preStop hook. */
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "nats";
import { CONSUMER, STREAM } from "../../contract/facts";
import type { Row } from "../table";
import { begunTwice, Executing, registerPlaybook } from "./noetl";
import { withScene } from "./scene";
import { until } from "./servers";

const PATH = "noetl-nats/takes-a-while";
/** Each of its commands is in a worker's hand for a second. */
const PLAYBOOK = `apiVersion: noetl.io/v2
kind: Playbook
metadata: { name: takes-a-while, path: ${PATH} }
workflow:
  - step: start
    tool:
      kind: python
      code: |
        import time
        time.sleep(1)
        result = {"done": True}
    next: { spec: { mode: exclusive }, arcs: [{ step: end }] }
  - step: end
    tool: { kind: noop }
`;
const WORKERS = 2;
/** Time between two executions that are begun, in milliseconds. */
const PACE_MILLISECONDS = 250;

async function consumerOf(address: string) {
  const connection = await connect({ servers: address });
  try {
    return await (await connection.jetstreamManager()).consumers.info(STREAM.name, CONSUMER.name);
  } finally {
    await connection.close();
  }
}

/** What is seen of the executions that were begun while every worker was replaced. */
export const rolledRows = (): Promise<Row[]> =>
  withScene(async (scene) => {
    let workers = Array.from({ length: WORKERS }, () => scene.startWorker());
    await registerPlaybook(scene.api, PLAYBOOK);
    await until("the workers' consumer", () =>
      consumerOf(scene.address).then(
        () => true,
        () => false,
      ),
    );
    const load = new Executing(scene.api, PATH, PACE_MILLISECONDS);
    await load.reaches(10);
    let badly = 0;
    for (const old of [...workers]) {
      workers = [...workers.slice(1), scene.startWorker()];
      // A pod is ready before an old one ends.
      await sleep(10_000);
      if (!(await old.retire())) badly++;
    }
    await load.reaches(load.begun + 10);
    const { begun, refused, unfinished } = await load.end();
    const { delivered } = await consumerOf(scene.address);
    const what = (figure: string): string => `${WORKERS} workers replaced at load: ${figure}`;
    return [
      { what: what("executions begun"), measured: begun, unit: "" },
      { what: what("refused"), measured: refused, unit: "", limit: 0 },
      { what: what("not finished"), measured: unfinished, unit: "", limit: 0 },
      { what: what("commands begun twice"), measured: await begunTwice(scene.api), unit: "", limit: 0 },
      {
        // What NATS had sent to a fetch that the worker then ended; it comes again after the time to acknowledge.
        what: what("commands delivered again"),
        measured: delivered.consumer_seq - delivered.stream_seq,
        unit: "",
      },
      { what: what("workers that did not end by themselves"), measured: badly, unit: "", limit: 0 },
    ];
  });
