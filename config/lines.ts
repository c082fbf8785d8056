/** Which NoETL a stack deploys, as its settings say it, and what follows for the contract. */
import {
  consumersOfSegments,
  ignoresSubject,
  isGatewayWithoutNats,
  isOlder,
  LINE_PROFILES,
  lineOfImage,
  NOETL_LINES,
  POOL_SEGMENTS,
  POOLS_SINCE,
  routedSubjects,
  SUBJECT_SINCE,
  versionText,
  type ConsumerTerms,
  type ImageLine,
  type NoetlLine,
} from "../contract/lines";
import { STREAM } from "../contract/facts";
import { SETTINGS, type Settings } from "./schema";

type LineSettings = Pick<Settings, "noetlLine" | "noetlImage">;

/** The line whose terms hold where neither the setting nor the image tells: every line keeps at least these. */
const UNKNOWN_LINE: NoetlLine = "2.8";

/** The NoETL of a stack; `isKnown` is false where nothing tells which it is and its terms are those of line 2.8. */
export function stackLine({ noetlLine, noetlImage }: LineSettings): ImageLine & { readonly isKnown: boolean } {
  const tagged = lineOfImage(noetlImage);
  if (noetlLine === "auto") return tagged ? { ...tagged, isKnown: true } : { line: UNKNOWN_LINE, isKnown: false };
  const line = noetlLine as NoetlLine;
  // The image's version counts where it is one of the line that was set.
  return { ...(tagged?.line === line ? tagged : { line }), isKnown: true };
}

/** Problems between the NoETL and the gateway that are deployed and the other settings. */
export function lineConflicts(settings: Settings): string[] {
  return [
    ...(settings.deployNoetl ? [...withoutNats(settings), ...ignoredSubject(settings)] : []),
    ...(settings.deployGateway ? gatewayWithoutNats(settings) : []),
  ];
}

/** What a NoETL that does not use NATS still needs it for, and how a stack gives it that. */
const STILL_FOR =
  "NATS is still the broker of its playbooks (tool nats, subscriptions), whose streams, consumers and buckets a stack with " +
  "deployNoetl and deployGateway false declares (natsStreams, docs/lines.md)";

function withoutNats({ noetlLine, noetlImage }: Settings): string[] {
  if (!stackLine({ noetlLine, noetlImage }).withoutNats) return [];
  return [
    `noetlImage: "${noetlImage}" is a NoETL that does not use NATS for commands any more (Rust server from 3.60.2, worker from ` +
      `5.91.2): it ends at once without the transport that took its place, which is not installed here. ${STILL_FOR}; ` +
      `allowed: an older one; for example ${SETTINGS.noetlImage.default}`,
  ];
}

function gatewayWithoutNats({ gatewayImage }: Settings): string[] {
  if (!isGatewayWithoutNats(gatewayImage)) return [];
  return [
    `gatewayImage: "${gatewayImage}" is a gateway that does not use NATS any more (from 3.7.1): it ends at once without the ` +
      `services that took its place, which are not installed here. ${STILL_FOR}; allowed: an older one, 2.11.1 or newer for ` +
      `updates of executions; for example ${SETTINGS.gatewayImage.default}`,
  ];
}

function ignoredSubject(settings: Settings): string[] {
  const { natsSubject, noetlImage } = settings;
  if (natsSubject === STREAM.subject) return [];
  const { isKnown, ...noetl } = stackLine(settings);
  const since = versionText(SUBJECT_SINCE);
  const ignores = isKnown ? ignoresSubject(noetl) : undefined;
  if (ignores === false) return [];
  const why =
    ignores === true
      ? `has no effect on the server of NoETL ${noetl.version ? versionText(noetl.version) : noetl.line}, which publishes on ` +
        `${STREAM.subject} whatever is set (since ${since} it obeys), so that no command would reach a worker`
      : `needs NoETL ${since} or newer, since older ones publish on ${STREAM.subject} whatever is set, and noetlImage ` +
        `${noetlImage} does not tell which it is`;
  return [
    `natsSubject: "${natsSubject}" ${why}; allowed: ${STREAM.subject}, or a noetlImage whose tag is ${since} or newer` +
      `${ignores === true ? "" : ", or noetlLine 4.7 or rust where it is that"}; for example ${STREAM.subject}`,
  ];
}

/** What a preview says, in one line, of a NoETL that is not known; undefined where it is. */
export function lineWarning(settings: Settings): string | undefined {
  if (!settings.deployNoetl) return undefined;
  const { noetlImage, noetlLine } = settings;
  const { isKnown, isNearest, line } = stackLine(settings);
  const set = `Set noetlLine (${NOETL_LINES.join(", ")}) to say which it is`;
  if (!isKnown) {
    return (
      `noetlImage ${noetlImage} does not tell which NoETL it holds: its stream and consumer are held to what line ` +
      `${line} makes, the least that every line keeps. ${set}`
    );
  }
  if (isNearest && noetlLine === "auto") {
    return (
      `noetlImage ${noetlImage} is a release that is not known here: its stream and consumers are held to what the nearest ` +
      `line, ${line}, makes. ${set}`
    );
  }
  const tagged = lineOfImage(noetlImage);
  return tagged && tagged.line !== line
    ? `noetlLine is ${line}, and noetlImage ${noetlImage} says ${tagged.line}: the contract goes by noetlLine`
    : undefined;
}

const words = (list: string | undefined): string[] | undefined =>
  list === undefined ? undefined : list.split(",").flatMap((word) => word.trim() || []);

const isOn = (value: string | undefined): boolean => /^(1|true|yes)$/i.test(value?.trim() ?? "");

/** Time to acknowledge as the workers make it since 2.10.6, in seconds: longer than the longest command, whatever is set. */
function ackWaitSeconds({ workerEnv }: Pick<Settings, "workerEnv">, profileSeconds: number): number {
  const seconds = (name: string, otherwise: number): number => {
    const value = Number(workerEnv[name] ?? otherwise);
    return Number.isFinite(value) ? value : otherwise;
  };
  return Math.max(
    seconds("NOETL_WORKER_NATS_ACK_WAIT_SECONDS", profileSeconds),
    seconds("NOETL_WORKER_COMMAND_TIMEOUT_SECONDS", 180) + seconds("NOETL_WORKER_NATS_ACK_WAIT_BUFFER_SECONDS", 30),
  );
}

interface Terms {
  readonly noetlLine?: NoetlLine;
  readonly publishes?: string[];
  readonly consumers?: ConsumerTerms[];
  readonly expect?: { readonly ackWaitSeconds: number };
}

/** Consumers and subjects of a NoETL with pools, where its release or its variables make others than the line does. */
function poolTerms(settings: Settings, { version }: ImageLine): Terms {
  const { natsSubject, natsConsumer, serverEnv, workerEnv } = settings;
  const set = words(workerEnv.NOETL_WORKER_POOL_SEGMENTS);
  const hasPools = version === undefined || !isOlder(version, POOLS_SINCE);
  const segments = set?.length ? set : POOL_SEGMENTS;
  const isRouted = hasPools && isOn(serverEnv.NOETL_COMMAND_ROUTING_ENABLED);
  const ofSegments = set?.length ? [...consumersOfSegments(segments, natsConsumer, natsSubject)] : undefined;
  return {
    consumers: hasPools ? ofSegments : [{ name: natsConsumer }],
    publishes: isRouted ? [...routedSubjects(natsSubject, segments)] : undefined,
  };
}

/** The contract's terms that depend on the NoETL; empty where they are the contract's own defaults. */
export function lineTerms(settings: Settings): Terms {
  const { isKnown: _isKnown, ...noetl } = stackLine(settings);
  const { natsSubject, natsConsumer, workerEnv } = settings;
  if (noetl.line === "2.8") return {};
  const filter = workerEnv.NATS_FILTER_SUBJECT;
  if (noetl.line === "rust") {
    return { noetlLine: "rust", consumers: filter ? [{ name: natsConsumer, filters: [filter] }] : undefined };
  }
  const profileSeconds = LINE_PROFILES[noetl.line].ackWaitSeconds;
  const seconds = ackWaitSeconds(settings, profileSeconds);
  return {
    noetlLine: noetl.line,
    // The contract itself cannot tell the releases of this line apart.
    publishes: noetl.line === "2.10" && natsSubject !== STREAM.subject ? [natsSubject] : undefined,
    ...(noetl.line === "4.7" ? poolTerms(settings, noetl) : {}),
    expect: seconds === profileSeconds ? undefined : { ackWaitSeconds: seconds },
  };
}
