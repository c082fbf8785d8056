/** What can be built from a checkout and deployed to the stack `kind`. */
import { DEFAULTS } from "../../contract/defaults";
import { LOCATIONS } from "../../contract/facts";

/** Names of the stack and of the cluster that `npm run kind:create` makes (kind/cluster.yaml). */
export const STACK = "kind";
export const CLUSTER = "noetl";
/** The context that kind writes into the kubeconfig. */
export const CONTEXT = `kind-${CLUSTER}`;

export interface Part {
  /** As `npm run` knows the command. */
  readonly command: string;
  /** A folder that may hold its checkout. */
  readonly example: string;
  /** As people call it. */
  readonly title: string;
  /** Where upstream keeps it, and a release that works here. */
  readonly source: string;
  readonly release: string;
  /** Files of a checkout, relative to it: what tells name and version, and what the image is built by. */
  readonly manifest: { readonly file: string; readonly table: string; readonly name: string };
  readonly dockerfile: string;
  /** The image's name; its tag tells what it was built from. */
  readonly repository: string;
  /** The setting that names the image, and the switch without which it is not deployed. */
  readonly setting: "noetlImage" | "gatewayImage";
  readonly switch: "deployNoetl" | "deployGateway";
  /** Where its pods run, and which Deployments they are of; each has the label `app` with its name. */
  readonly namespace: string;
  readonly deployments: readonly string[];
}

export type PartName = "noetl" | "gateway";

const tagOf = (image: string): string => image.slice(image.lastIndexOf(":") + 1);

export const PARTS: Readonly<Record<PartName, Part>> = {
  noetl: {
    command: "kind:noetl",
    example: "../noetl",
    title: "NoETL",
    source: "https://github.com/noetl/noetl",
    release: tagOf(DEFAULTS.noetlImage),
    manifest: { file: "pyproject.toml", table: "project", name: "noetl" },
    dockerfile: "docker/noetl/dev/Dockerfile",
    repository: "noetl-local",
    setting: "noetlImage",
    switch: "deployNoetl",
    namespace: LOCATIONS.noetl.namespace,
    deployments: [LOCATIONS.noetl.serverDeployment, LOCATIONS.noetl.workerDeployment],
  },
  gateway: {
    command: "kind:gateway",
    example: "../gateway",
    title: "the gateway",
    source: "https://github.com/noetl/gateway",
    release: tagOf(DEFAULTS.gatewayImage),
    manifest: { file: "Cargo.toml", table: "package", name: "noetl-gateway" },
    dockerfile: "Dockerfile",
    repository: "noetl-gateway",
    setting: "gatewayImage",
    switch: "deployGateway",
    namespace: LOCATIONS.gateway.namespace,
    deployments: [LOCATIONS.gateway.deployment],
  },
};
