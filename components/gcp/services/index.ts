import * as projects from "@pulumi/gcp/projects";
import * as pulumi from "@pulumi/pulumi";
import { checkedArguments } from "../../arguments";
import * as terms from "../../terms";

export interface ProjectServicesArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Names of the APIs, such as `container.googleapis.com`. */
  services: readonly string[];
}

/** The provider asks this one for the project whenever it reads the state of another. */
const FIRST = "cloudresourcemanager.googleapis.com";

const TERMS: terms.Terms<ProjectServicesArgs> = {
  project: terms.PROJECT,
  services: terms.required(
    terms.list(terms.plain(terms.word("the name of an API", "container.googleapis.com")), {
      allowed: "a list of APIs",
      example: '["container.googleapis.com"]',
    }),
  ),
};

/** Enables APIs of a project. They stay enabled when the stack is destroyed: others may have come to use them. */
export class ProjectServices extends pulumi.ComponentResource {
  /** The project's id, known once all APIs are enabled. */
  readonly project: pulumi.Output<string>;

  constructor(name: string, asked: ProjectServicesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:ProjectServices", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const enable = (service: string, opts: pulumi.CustomResourceOptions) =>
      new projects.Service(
        `${name}-${service.replace(/\.googleapis\.com$/, "")}`,
        { project: args.project, service, disableOnDestroy: false },
        { parent: this, ...opts },
      );
    const first = args.services.filter((service) => service === FIRST).map((service) => enable(service, {}));
    const enabled = [
      ...first,
      ...args.services.filter((service) => service !== FIRST).map((service) => enable(service, { dependsOn: first })),
    ];
    this.project = pulumi.all([args.project, pulumi.all(enabled.map((each) => each.id))]).apply(([project]) => project);
    this.registerOutputs({ project: this.project });
  }
}
