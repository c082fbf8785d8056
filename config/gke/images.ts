/** Where images come from, and whether the nodes of a cluster get them there. */
import { SETTINGS, type SettingKey, type Settings } from "../schema";

type ImageKey = Extract<SettingKey, `${string}Image`>;

/** Images that a stack's settings name, as far as they are deployed. */
function namedImages(settings: Settings): ReadonlyMap<ImageKey, string> {
  const images = new Map<ImageKey, string>();
  if (settings.deployNoetl) {
    images.set("noetlImage", settings.noetlImage);
    if (settings.useCloudSql) {
      images.set("pgbouncerImage", settings.pgbouncerImage);
      images.set("cloudSqlProxyImage", settings.cloudSqlProxyImage);
    } else if (settings.deployPostgres) images.set("postgresImage", settings.postgresImage);
  }
  if (settings.deployGateway) images.set("gatewayImage", settings.gatewayImage);
  return images;
}

/**
 * Whether a registry is Google's: nodes without a public address and without a NAT reach no other, because Private
 * Google Access leads to `*.pkg.dev` and `*.gcr.io` (mirror.gcr.io among them) alone.
 */
const isGoogles = (image: string) => /^([a-z0-9-]+\.)?(gcr\.io|pkg\.dev)\//.test(image);

/** What the nodes of a network without a NAT cannot pull; empty where all comes from Google. */
export function foreignImages(settings: Settings): string[] {
  return [
    // The chart names the images of NATS, and there all come from Docker Hub.
    ...(settings.deployNats && settings.natsChart === SETTINGS.natsChart.default
      ? ["the images of natsChart nats"]
      : []),
    ...[...namedImages(settings)].filter(([, image]) => !isGoogles(image)).map(([key, image]) => `${key} "${image}"`),
  ];
}

/**
 * Images of an Artifact Registry that the nodes may not be allowed to read: the stack grants that for its own repository
 * on a cluster of its own, and for nothing else.
 */
export function imageDoubts(settings: Settings): string[] {
  const own = `${settings.region}-docker.pkg.dev/${settings.projectId}/${settings.repositoryId}/`;
  const granted = settings.createCluster && settings.createArtifactRegistry;
  return [...namedImages(settings)]
    .filter(([, image]) => /^[a-z0-9-]+-docker\.pkg\.dev\//.test(image) && !(granted && image.startsWith(own)))
    .map(
      ([key, image]) =>
        `${key}: the cluster's nodes pull "${image}" only if their service account has role roles/artifactregistry.reader on ` +
        "its repository, which this stack does not grant (docs/gke.md: Decisions).",
    );
}
