/** How a stream that is not there was lost, as far as times tell. */
import { plural } from "../../../contract/wording";
import { LOCATIONS } from "../../../contract/facts";
import type { ContainerFacts, Evidence, PodFacts } from "../evidence";
import { clock } from "../text";
import { failures } from "./failing";
import { podsOf } from "./trouble";

/** A server of NATS, and since when it runs. */
interface Start {
  readonly pod: PodFacts;
  readonly container: ContainerFacts;
  readonly since: number;
}

function startsOf({ namespaces: { nats } }: Evidence): Start[] {
  if (!nats?.ok) return [];
  return nats.value.pods
    .filter(({ owner }) => owner === LOCATIONS.nats.service)
    .flatMap((pod) =>
      pod.containers.flatMap((container) =>
        container.name === NATS_CONTAINER && container.since !== undefined
          ? [{ pod, container, since: container.since }]
          : [],
      ),
    );
}

/** The server's container, as NATS's chart calls it. */
const NATS_CONTAINER = "nats";

/** What happened, oldest first, one sentence each with its time; empty where nothing is known. */
export function streamHistory(evidence: Evidence): string[] {
  const { streamRemembered: remembered, stream } = evidence;
  const starts = startsOf(evidence);
  const created = remembered && Date.parse(remembered.created);
  const inMemory = remembered?.storage === undefined ? "" : `, in ${remembered.storage}`;
  const since = created ?? 0;
  const restarted = starts.length > 0 && starts.every((start) => start.since > since);
  return [
    ...(created === undefined
      ? []
      : [`${clock(created)}: stream ${stream} was created, as the last update found it${inMemory}`]),
    ...(restarted && created !== undefined
      ? starts.map((start) => `${startText(start)}: what was in memory is lost with its server`)
      : starts.map(startText)),
    ...(created !== undefined && starts.length > 0 && !restarted
      ? ["not every server of NATS has started since: somebody has removed the stream"]
      : []),
    ...failedSince(evidence),
  ];
}

function startText({ pod, container, since }: Start): string {
  const { restarts, ended } = container;
  const why =
    ended === undefined ? "" : `, after it ended with ${ended.reason || "an error"} (exit code ${ended.exitCode})`;
  return `${clock(since)}: ${pod.name} started${restarts > 0 ? ` (${plural(restarts, "restart")})` : ""}${why}`;
}

/** When NoETL's server failed for the last time because of it; executions that it answered with an error wait for ever. */
function failedSince(evidence: Evidence): string[] {
  const server = podsOf(evidence, LOCATIONS.noetl.serverDeployment);
  return failures(evidence)
    .filter(({ action, pod }) => action === "publish" && server.includes(pod))
    .map(
      ({ pod, at }) =>
        `${clock(at)}: ${pod.name} could not announce a command: its execution was answered with an error and waits`,
    );
}
