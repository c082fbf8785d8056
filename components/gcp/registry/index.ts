import * as artifactregistry from "@pulumi/gcp/artifactregistry";
import * as pulumi from "@pulumi/pulumi";
import { checkedArguments } from "../../arguments";
import * as terms from "../../terms";

export interface ArtifactRegistryArgs {
  /** Id of the project. */
  project: pulumi.Input<string>;
  /** Region of the images. */
  region: pulumi.Input<string>;
  /** Name of the repository. */
  repositoryId: pulumi.Input<string>;
  /** Who may pull, as IAM members by a name for each; the cluster's nodes, for example. */
  readers?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Keep the images from deletion (Pulumi's `protect`). Default true. */
  protect?: boolean;
}

const TERMS: terms.Terms<ArtifactRegistryArgs> = {
  project: terms.PROJECT,
  region: terms.REGION,
  repositoryId: terms.required(terms.word("the name of a repository", "noetl")),
  readers: terms.map("{ nodes: cluster.nodeMember }"),
  protect: terms.plain(terms.flag),
};

/** A Docker repository in Artifact Registry. */
export class ArtifactRegistry extends pulumi.ComponentResource {
  /** What image names begin with: `REGION-docker.pkg.dev/PROJECT/REPOSITORY`. */
  readonly url: pulumi.Output<string>;

  constructor(name: string, asked: ArtifactRegistryArgs, opts?: pulumi.ComponentResourceOptions) {
    super("noetl-nats:gcp:ArtifactRegistry", name, {}, opts);
    const args = checkedArguments(this, asked, TERMS);
    const { project, region, repositoryId } = args;
    const repository = new artifactregistry.Repository(
      `${name}-repository`,
      { project, location: region, repositoryId, format: "DOCKER", description: "Images of NoETL" },
      { parent: this, protect: args.protect ?? true },
    );
    for (const [reader, member] of Object.entries(args.readers ?? {})) {
      new artifactregistry.RepositoryIamMember(
        `${name}-${reader}`,
        { project, location: region, repository: repository.name, role: "roles/artifactregistry.reader", member },
        { parent: this },
      );
    }
    this.url = pulumi.interpolate`${region}-docker.pkg.dev/${project}/${repository.repositoryId}`;
    this.registerOutputs({ url: this.url });
  }
}
