/** Which test carries out what a finding tells to do, as it stands there; and where none can, why. */
import type { FindingId } from "../../../commands/doctor/diagnosis";

/** A test by its file below `test/` and a part of its title. */
export type Carried =
  | { readonly by: readonly (readonly [file: string, title: string])[] }
  /** Its commands are those of another finding, which are carried out there. */
  | { readonly as: FindingId }
  /** It tells in words, or runs what only shows something. */
  | { readonly shows: true }
  /** Its commands change something and are held to their programs' arguments alone. */
  | { readonly shape: string };

const by = (...tests: readonly (readonly [string, string])[]): Carried => ({ by: tests });
const as = (other: FindingId): Carried => ({ as: other });
const shape = (because: string): Carried => ({ shape: because });
const SHOWS: Carried = { shows: true };

const LIVE = "commands/doctor/live";
const FIXED_BY_HAND = [`${LIVE}/remedies.ts`, "fixes $what"] as const;
const ENDED_BY_FORCE = [`${LIVE}/remedies.ts`, "ends $what by force, and another one takes its place"] as const;
const UPDATES = `${LIVE}/updates.ts`;
const SETTINGS_AND_UPDATE = [UPDATES, "settings that findings tell to set"] as const;
const VOLUMES = [UPDATES, "a claim that nobody provides a volume for, a larger volume"] as const;
const REFRESH_AND_UPDATE = [UPDATES, "what was scaled down"] as const;
const E2E = "e2e/embedded.test.ts";
const CHANGES = "e2e/changes.test.ts";
const USERS = [CHANGES, "finds a password that somebody changed in NATS' Secret"] as const;
const NO_CLOUD = shape("there is not a Cloud SQL instance here, nor an account that may be granted anything");
const IMAGES = [UPDATES, "an image that lacks a part of NoETL"] as const;

export const CARRIED_OUT: Readonly<Record<FindingId, Carried>> = {
  configuration: by(["config/parse.test.ts", "are accepted: whoever follows them ends with a configuration"]),
  "bad-kubeconfig": by([UPDATES, "a kubeconfig and a context that are there"]),
  "cluster-unreachable": SHOWS,
  "cluster-login": SHOWS,
  forbidden: as("forbidden-port-forward"),
  "forbidden-port-forward": by([`${LIVE}/diagnosis.ts`, "forbidden port-forward"]),
  unanswered: SHOWS,
  "no-pod": as("pods-missing"),
  "pod-not-ready": SHOWS,
  "host-unknown": SHOWS,
  refused: SHOWS,
  closed: SHOWS,
  "no-nats": SHOWS,
  tls: as("unfinished"),
  "certificate-ends": by(
    [`${LIVE}/servers.ts`, "that has an expired certificate: renew it"],
    [`${LIVE}/servers.ts`, "a Secret of one's own with a certificate that ends soon: replace it"],
  ),
  "bad-credentials": SHOWS,
  "wrong-password": by([
    CHANGES,
    "moves to new passwords without a restart of NATS or Postgres, also where it is killed in between",
  ]),
  "missing-permission": by(USERS),
  "jetstream-off": as("unfinished"),
  "jetstream-unavailable": SHOWS,
  "no-answer": SHOWS,
  "refused-request": SHOWS,
  "release-pending": by(REFRESH_AND_UPDATE, [`${LIVE}/refusals.ts`, "the commands that are printed free it"]),
  "release-failed": by(VOLUMES),
  unfinished: by([CHANGES, "finishes when it is run again after it was killed in the middle"]),
  "cluster-new": by([UPDATES, "a state that an engine cut off"]),
  "not-deployed": as("pods-missing"),
  environment: by(SETTINGS_AND_UPDATE, [`${LIVE}/diagnosis.ts`, "names a setting that somebody changed by hand"]),
  "claim-pending": by(VOLUMES),
  "claim-deleted": SHOWS,
  unscheduled: SHOWS,
  image: SHOWS,
  "container-config": as("pods-missing"),
  "pods-refused": SHOWS,
  memory: by(SETTINGS_AND_UPDATE),
  "nats-config": by([`${LIVE}/refusals.ts`, "refuses its configuration"]),
  "schema-job": by([CHANGES, "stops on a schema that does not load"]),
  "proxy-instance": NO_CLOUD,
  "proxy-permission": NO_CLOUD,
  "proxy-network": NO_CLOUD,
  starting: SHOWS,
  "crash-loop": SHOWS,
  "not-ready": SHOWS,
  evicted: SHOWS,
  "node-lost": by(ENDED_BY_FORCE),
  "pod-ending": by(ENDED_BY_FORCE),
  "pods-missing": by(REFRESH_AND_UPDATE, [`${LIVE}/diagnosis.ts`, "names a server that was scaled down by hand"]),
  "rollout-paused": by([`${LIVE}/diagnosis.ts`, "names a Deployment whose rollout somebody has paused"]),
  service: by([`${LIVE}/diagnosis.ts`, "names a Service that"], REFRESH_AND_UPDATE),
  "repair-running": SHOWS,
  "repair-interrupted": by([`${LIVE}/interrupted.ts`, "comes to its end by the command that is printed"]),
  "work-queue": by(FIXED_BY_HAND, [`${LIVE}/diagnosis.ts`, "the repair fixes it and hands the waiting commands out"]),
  "no-stream": by(FIXED_BY_HAND, [`${LIVE}/diagnosis.ts`, "nothing stores what the server publishes"]),
  "subject-taken": by(SETTINGS_AND_UPDATE, [`${LIVE}/remedies.ts`, "removes the stream that has NoETL's subject"]),
  "subject-not-stored": by(FIXED_BY_HAND),
  "no-consumer": by(FIXED_BY_HAND),
  contract: by(
    FIXED_BY_HAND,
    ["contract/fixes.test.ts", "fix $rule: $name"],
    ["contract/probe.test.ts", "fix $rule: $name"],
  ),
  drift: by(FIXED_BY_HAND),
  "work-queue-past": as("no-consumer"),
  "no-stream-past": as("no-consumer"),
  "executions-wait": by([`${LIVE}/remedies.ts`, "announces the command of an execution that was refused"]),
  "workers-full": by(SETTINGS_AND_UPDATE),
  "nobody-fetches": by([E2E, "tells of workers that hang"]),
  "publish-failed": SHOWS,
  "fetch-failed": as("no-consumer"),
  "nats-connection-lost": as("no-consumer"),
  "consumer-limit": as("workers-full"),
  "store-full": by([CHANGES, "restarts NoETL after NATS, which loses the stream"]),
  "store-unwritable": by(VOLUMES, [`${LIVE}/remedies.ts`, "restarts NATS that could not write, after which it does"]),
  "stream-full": by([`${LIVE}/remedies.ts`, "lets a full stream discard its oldest messages"]),
  "other-noetl-line": by(IMAGES),
  "image-module": by(IMAGES),
  "pods-nats-login": as("wrong-password"),
  "pods-nats-permission": as("missing-permission"),
  "pods-nats-tls": SHOWS,
  "pods-jetstream-off": as("unfinished"),
  "pods-nats-unreachable": as("unfinished"),
  "pods-database": as("schema-job"),
  "pods-api-unreachable": SHOWS,
  "workers-wait": SHOWS,
  "sign-in-missing": shape("NoETL's command line and an identity provider are not here"),
  "cors-origin": by(SETTINGS_AND_UPDATE),
  "gateway-5xx": SHOWS,
  "gateway-5xx-without-cors": SHOWS,
  "proxy-5xx-without-cors": SHOWS,
  "proxy-without-cors": SHOWS,
  "gateway-silent": SHOWS,
  "public-url": SHOWS,
  unread: SHOWS,
};

/** Whether a command of a remedy only shows something. */
export const onlyShows = (command: string): boolean =>
  /^kubectl .*(get|describe|logs|top|cluster-info|auth whoami|port-forward)( |$)/.test(command) ||
  /^kubectl .* exec \S+ -c nats -- (df|du) /.test(command) ||
  /^npm run verify /.test(command) ||
  /^nats .*server report /.test(command);
