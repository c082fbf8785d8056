/** Figures that a page repeats of the code: whoever changes one is told where else it stands. */
import { expect, it } from "vitest";
import { RECENT_EXECUTIONS, TOLD_HOURS } from "../../commands/doctor/executions";
import { ANNOUNCED_SECONDS } from "../../commands/doctor/repair/announce";
import { LEASE_SECONDS } from "../../commands/doctor/repair/lock";
import { GUARD_RESOURCES } from "../../components/contract-guard/manifests";
import { podAvailability, STEP_SECONDS } from "../../components/nats-jetstream/availability";
import { LIVES } from "../../components/nats-jetstream/tls/renewal";
import { SHORTEST_PASSWORD } from "../../config/passwords";
import { shownDefault } from "../../config/parse";
import { DEFAULT_STOP_SECONDS, HELM_TIMEOUT_SECONDS } from "../../contract/defaults";
import { GUARD_PORT } from "../../contract/guard/settings";
import { SILENCE_MS } from "../../embedded/toolchain/downloads";
import { readProject } from "../support/markdown";

const WORDS: Record<number, string> = { 3: "three", 10: "ten" };
const inWords = (figure: number): string => WORDS[figure] ?? String(figure);
const { requests, limits } = GUARD_RESOURCES as Record<"requests" | "limits", Readonly<Record<string, string>>>;
const YEAR = 365;

it.each([
  ["docs/availability.md", `for ${STEP_SECONDS} s at most`],
  [
    "docs/availability.md",
    `Its pod has ${String(podAvailability(3, "preferred").terminationGracePeriodSeconds)} s for that`,
  ],
  ["docs/decisions/0012-probes-and-stopping.md", `\`terminationGracePeriodSeconds\` is ${DEFAULT_STOP_SECONDS}`],
  ["docs/doctor.md", `which lives ${LEASE_SECONDS} seconds unless it is renewed`],
  ["docs/doctor.md", `that is older than ${ANNOUNCED_SECONDS} seconds`],
  ["docs/doctor.md", `what is younger than ${ANNOUNCED_SECONDS} seconds is left alone`],
  ["docs/doctor.md", `the doctor names them for ${TOLD_HOURS} hours`],
  ["docs/doctor.md", `the ${RECENT_EXECUTIONS.toLocaleString("en-US")} executions that began last`],
  ["docs/embedded.md", `At most ${inWords(SILENCE_MS / 1000)} seconds are lost to hosts that do not answer`],
  ["docs/gke.md", `a release that is not ready within ${HELM_TIMEOUT_SECONDS.gke / 60} minutes`],
  ["docs/guard.md", `${requests.cpu} CPU and ${requests.memory} memory, at most ${limits.memory}`],
  ["docs/guard.md", `on the same port ${GUARD_PORT}`],
  ["docs/guard.md", `\`workerFetchTimeoutSeconds\` (${shownDefault("workerFetchTimeoutSeconds")}) at most`],
  ["docs/security.md", `fewer than ${SHORTEST_PASSWORD} characters`],
  ["docs/security.md", `\`natsMaxConnections\` connections at a time (${shownDefault("natsMaxConnections")})`],
  ["docs/security.md", `has ${shownDefault("noetlTmpSize")}, or what \`noetlTmpSize\` says`],
  [
    "docs/tls.md",
    `The certificate lasts ${LIVES.certificate} days and is made again by an update in its last ${LIVES.certificateLeft}.`,
  ],
  [
    "docs/tls.md",
    `The authority lasts ${inWords(LIVES.authority / YEAR)} years. The next one is made ${inWords(LIVES.authorityLeft / YEAR)} years before its end`,
  ],
])("%s says: %s", (page, sentence) => expect(readProject(page).replace(/\s+/g, " ")).toContain(sentence));
