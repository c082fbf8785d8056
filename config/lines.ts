/** Which NoETL a stack deploys, as its settings say it, and what follows for the contract. */
import {
  consumersOfLine,
  ignoresSubject,
  isOlder,
  lineOfImage,
  NOETL_LINES,
  POOLS_SINCE,
  SUBJECT_SINCE,
  type ImageLine,
  type NoetlLine,
} from "../contract/lines";
import { STREAM } from "../contract/noetl";
import type { Settings } from "./schema";

export { NOETL_LINES };

type LineSettings = Pick<Settings, "noetlLine" | "noetlImage">;

/** The line whose terms hold where neither the setting nor the image tells: the one that the specification describes. */
const UNKNOWN_LINE: NoetlLine = "2.8";

/** The NoETL of a stack; `isKnown` is false where nothing tells which it is and its terms are those of line 2.8. */
export function stackLine({ noetlLine, noetlImage }: LineSettings): ImageLine & { readonly isKnown: boolean } {
  const told = lineOfImage(noetlImage);
  if (noetlLine === "auto") return told ? { ...told, isKnown: true } : { line: UNKNOWN_LINE, isKnown: false };
  const line = noetlLine as NoetlLine;
  // The image's version counts where it is one of the line that was set.
  return { line, isKnown: true, ...(told?.line === line && told.version ? { version: told.version } : {}) };
}

const text = (version: ImageLine["version"] = [0, 0, 0]): string => version.join(".");

/** Whether the server publishes on the default subject although another is set. */
const isSubjectIgnored = (settings: LineSettings): boolean => {
  const { isKnown, ...line } = stackLine(settings);
  return isKnown && ignoresSubject(line);
};

/** Problems between the NoETL that is deployed and the other settings. */
export function lineConflicts(settings: Settings): string[] {
  if (!settings.deployNoetl || settings.natsSubject === STREAM.subject || !isSubjectIgnored(settings)) return [];
  const { version, line } = stackLine(settings);
  return [
    `natsSubject: "${settings.natsSubject}" has no effect on the server of NoETL ${version ? text(version) : line}, which publishes on ` +
      `${STREAM.subject} whatever is set (fixed in ${text(SUBJECT_SINCE)}), so that no command would reach a worker; ` +
      `allowed with this noetlImage: ${STREAM.subject}; for example ${STREAM.subject}`,
  ];
}

/** What a preview says of a NoETL that is not known; undefined where it is. */
export function lineWarning(settings: Settings): string | undefined {
  const { isKnown } = stackLine(settings);
  if (isKnown || !settings.deployNoetl) return undefined;
  return (
    `noetlImage ${settings.noetlImage} does not tell which NoETL it holds; its stream and consumer are held to what ` +
    `line ${UNKNOWN_LINE} makes. Set noetlLine (${NOETL_LINES.join(", ")}) to say which it is`
  );
}

/** The contract's terms that depend on the NoETL; empty where they are the contract's own defaults. */
export function lineTerms(settings: Settings) {
  const { line, version } = stackLine(settings);
  if (line === "2.8") return {};
  const pools = line === "4.7" && version !== undefined && isOlder(version, POOLS_SINCE);
  return {
    noetlLine: line,
    ...(pools
      ? { consumers: [...consumersOfLine({ line, version }, settings.natsConsumer, settings.natsSubject)] }
      : {}),
  };
}
