/** What stands behind words of NoETL's that name their cause themselves, and what to do about it. */
import { natsMemoryLimit } from "../../../config/resources";
import { MEBIBYTE, quantityBytes } from "../../../contract/validate";
import { DEFAULTS } from "../../../contract/defaults";
import { STREAM_VARIABLES } from "../../../contract/env";
import { LOCATIONS, STREAM } from "../../../contract/facts";
import type { Evidence } from "../evidence";
import { quoted } from "../text";
import { run, say, type FindingId, type Step } from "./finding";
import type { LogMeaning } from "./logs";
import { setAndUpdate, update } from "./update";
import { largerVolume } from "./volumes";

/** Why NoETL cannot work, as its own words tell it. */
export interface Reason {
  readonly id: FindingId;
  /** What it is, a sentence without a full stop; `who` are the workloads that say so. */
  readonly title: (who: string, line: string) => string;
  readonly remedy: (evidence: Evidence, line: string, owners: readonly string[]) => Step[];
}

const mebibytes = (bytes: number): string => `${Math.ceil(bytes / MEBIBYTE)}Mi`;

/**
 * A memory limit of NATS that is larger than the present one and that the settings allow: at least what the memory store
 * needs, at most the largest that they take.
 *
 * @returns undefined where the present one is the largest already.
 */
export function largerNatsLimit({ natsSizes }: Pick<Evidence, "natsSizes">): string | undefined {
  const needed = quantityBytes(natsMemoryLimit({ ...natsSizes, natsMemoryLimit: undefined })) ?? 0;
  const present = quantityBytes(natsSizes.natsMemoryLimit ?? "") ?? needed;
  const wanted = Math.min(128 * 1024 * MEBIBYTE, Math.max(needed, present * 1.5));
  return wanted > present ? mebibytes(wanted) : undefined;
}

/** A memory store of twice the size, and the limit that goes with it where the stack sets one. */
function largerNatsStore({ natsSizes }: Pick<Evidence, "natsSizes">): Readonly<Record<string, string | undefined>> {
  const present = quantityBytes(natsSizes.natsJetstreamMemSize) ?? 0;
  const natsJetstreamMemSize = mebibytes(Math.min(64 * 1024 * MEBIBYTE, present * 2));
  const needed = natsMemoryLimit({ natsJetstreamMemSize, natsMemoryLimit: undefined });
  const isSet = natsSizes.natsMemoryLimit !== undefined;
  const enough = (quantityBytes(natsSizes.natsMemoryLimit ?? "") ?? 0) >= (quantityBytes(needed) ?? 0);
  return { natsJetstreamMemSize, natsMemoryLimit: isSet && !enough ? needed : undefined };
}

/** `nats` as it reaches the server: as this project runs it, through nats-box where the stack has one, or straight. */
export const natsCommand = ({ kubectl, namespaces, natsAddress, natsCommand: given }: Evidence): string =>
  namespaces.nats === undefined
    ? `nats --server ${quoted(natsAddress)}`
    : (given ?? `${kubectl} -n ${LOCATIONS.nats.namespace} exec deploy/${LOCATIONS.nats.service}-box -- nats`);

const restarts = ({ kubectl }: Evidence, owners: readonly string[]): Step[] =>
  owners.map((owner) => run(`${kubectl} -n ${LOCATIONS.noetl.namespace} rollout restart deploy/${owner}`));

/** What a restart of NATS's only server does to what waits in memory. */
export const LOST_WITH_RESTART =
  "A restart of NATS's server loses what waits in a stream in memory; publishes fail from its lame duck on until the new one is ready.";

export const REASONS: Partial<Record<LogMeaning, Reason>> = {
  "nats-closed": {
    id: "nats-connection-lost",
    title: (who) => `${who} has no connection to NATS and does not open one again`,
    remedy: (evidence, _line, owners) => [
      say(
        "NoETL's client gives up when NATS is away for about two minutes, and its server after the first connection that fails; " +
          "the pod stays ready all the same. A restart connects it:",
      ),
      ...restarts(evidence, owners),
      ...(owners.includes(LOCATIONS.noetl.serverDeployment)
        ? [
            say(
              "The server cancels the execution that began last when it starts, where that one still runs and is younger than five minutes.",
            ),
          ]
        : []),
    ],
  },
  "consumer-limit": {
    id: "consumer-limit",
    title: (who, line) => {
      const limit = /system limit of (\d+)/.exec(line)?.[1];
      return `NATS does not let ${who} make its consumer: more commands in flight than its limit${limit ? ` of ${limit}` : ""} allows`;
    },
    remedy: (evidence, line) => {
      const limit = /system limit of (\d+)/.exec(line)?.[1];
      return [
        say("Raise `max_ack_pending` in the limits of the server or the account, or let the workers ask for less:"),
        ...setAndUpdate(evidence, { workerMaxAckPending: limit ?? "10" }),
      ];
    },
  },
  "store-full": {
    id: "store-full",
    title: (_who) => "JetStream's store is full, or reserved by other streams: NATS refuses what NoETL stores",
    remedy: (evidence, line) => [
      say("See what fills or reserves it (`max_bytes`), and remove what is not needed:"),
      run(`${natsCommand(evidence)} stream report`),
      ...(evidence.namespaces.nats === undefined
        ? [say("Or raise the limit of the account or the server.")]
        : /err_code=10047\b|insufficient storage/i.test(line)
          ? [say("Or give the streams of files more room."), ...largerVolume(evidence)]
          : [
              say(`Or give it more memory. ${LOST_WITH_RESTART}`),
              ...setAndUpdate(evidence, largerNatsStore(evidence)),
            ]),
    ],
  },
  "store-unwritable": {
    id: "store-unwritable",
    title: (_who) => "NATS cannot write to its disk, and refuses what NoETL publishes",
    remedy: () => [
      say(
        "The words above are those of the system that NATS' server runs on. Where the disk is full, make room or enlarge it;",
      ),
      say("a server from release 2.15 on writes again after a restart only."),
    ],
  },
  "stream-full": {
    id: "stream-full",
    title: (_who) => "The stream has reached its limit and refuses new commands",
    remedy: (evidence) => [
      say("Let it discard old messages, as NoETL makes it, or raise its limit:"),
      run(
        `${natsCommand(evidence)} stream edit ${quoted(evidence.stream)} --discard old --max-msgs=-1 --max-bytes=-1 -f`,
      ),
    ],
  },
  "subject-taken": {
    id: "subject-taken",
    title: (_who) => "Another stream takes NoETL's subject, so that NoETL cannot make its own",
    remedy: (evidence) => subjectTakenRemedy(evidence),
  },
  "other-line": {
    id: "other-noetl-line",
    title: (who) => `The image of ${who} is of a line of NoETL that speaks no NATS`,
    remedy: (evidence, _line, owners) => {
      const isGateway = owners.includes(LOCATIONS.gateway.deployment);
      const isNoetl = owners.some((owner) => owner !== LOCATIONS.gateway.deployment);
      return [
        say(
          "Take images of the lines that use NATS (docs/lines.md): the Rust server before 3.60.2, worker before 5.91.2, any",
        ),
        say("Python release, a gateway from 2.11.1 to 3.7.0. The newest ones need what a stack does not install."),
        ...setAndUpdate(evidence, {
          noetlImage: isNoetl ? DEFAULTS.noetlImage : undefined,
          gatewayImage: isGateway ? DEFAULTS.gatewayImage : undefined,
        }),
      ];
    },
  },
  "module-missing": {
    id: "image-module",
    title: (who, line) => {
      const module = /No module named '?([\w.]+)/.exec(line)?.[1];
      return `The image of ${who} lacks ${module === undefined ? "a part of NoETL" : `the module ${module}`}`;
    },
    remedy: (evidence) => [
      say(
        "It is not an image of NoETL's server and worker (Python, v2 to v4), or was built incompletely. Setting: noetlImage.",
      ),
      ...setAndUpdate(evidence, { noetlImage: DEFAULTS.noetlImage }),
    ],
  },
};

/** The contract's own commands. At a NATS elsewhere the contract knows no cluster, and `kubectl` is led to that of NoETL. */
export const contractCommands = ({ kubectl, nats }: Evidence): Step[] =>
  (nats.ok ? nats.value.commands : []).map((command) => run(command.replace(/^kubectl(?= -n )/, () => kubectl)));

const isRestart = (step: Step): boolean => "run" in step && step.run.includes(" rollout restart ");

/** Whether pods of NoETL still have other names than the stack sets: they would make the stream again that these name. */
const hasFormerNames = ({ environment }: Evidence): boolean =>
  [LOCATIONS.noetl.serverDeployment, LOCATIONS.noetl.workerDeployment].some((deployment) => {
    const found = environment[deployment];
    return found?.ok && found.value.some((each) => STREAM_VARIABLES.includes(each.name) && each.asDeployed === false);
  });

/**
 * What to do where another stream stores NATS_SUBJECT. NATS lets no two streams have a subject, and `--repair` touches no stream
 * but the contract's.
 */
export function subjectTakenRemedy(evidence: Evidence): Step[] {
  const { nats } = evidence;
  const others = nats.ok && nats.value.overlapping.length > 0 ? nats.value.overlapping : ["OTHER_STREAM"];
  const [other = ""] = others;
  const commands = contractCommands(evidence);
  const restart = run(
    `${evidence.kubectl} -n ${LOCATIONS.noetl.namespace} rollout restart ` +
      `deploy/${LOCATIONS.noetl.serverDeployment} deploy/${LOCATIONS.noetl.workerDeployment}`,
  );
  return [
    say(
      `Where natsStream was renamed, ${others.join(" or ")} is the former one: the former name brings it back, with what it holds:`,
    ),
    ...setAndUpdate(evidence, { natsStream: other }),
    say(
      "Or, when its messages are worked off or not needed, remove it, after which NoETL's own stream can have the subject:",
    ),
    ...others.map((name) => run(`${natsCommand(evidence)} stream rm ${quoted(name)} -f`)),
    ...(hasFormerNames(evidence)
      ? [...commands.filter((step) => !isRestart(step)), update(evidence)]
      : commands.length > 0
        ? commands
        : [restart]),
  ];
}

/** Before 2.11.0 the server passes its settings `NOETL_SUBJECT` where they read `NATS_SUBJECT`. */
export const ignoresSubject = ({ subject }: Evidence): Step[] =>
  subject === STREAM.subject
    ? []
    : [
        say(
          `NoETL's server before 2.11.0 publishes on ${STREAM.subject} whatever natsSubject is, and this stack sets ${subject}: ` +
            "take the former subject, or a later image.",
        ),
      ];
