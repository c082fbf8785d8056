import { RELEASE } from "../../contract/project";
import type { Evaluation, DeclaredResource } from "./evaluation";
import { knownSecrets } from "../../contract/mask";
import { objectOf, secretEntries, secretTexts, type KubeObject } from "./objects";
import { unwrapSecrets } from "./outputs";
import { SHOWN } from "../../contract/mask/placeholders";
import { type Rendered } from "./render";
import type { StackConfig } from "./stack-config";

/** One revision: what its program declares and what its charts render to. */
export interface SideResult {
  readonly config: StackConfig;
  readonly evaluation: Evaluation;
  /** By the release's URN. */
  readonly releases: ReadonlyMap<string, Rendered>;
}

/** The releases of an evaluation that Helm installs. */
export const releasesOf = (evaluation: Evaluation): DeclaredResource[] =>
  evaluation.resources.filter((resource) => resource.type === RELEASE && !resource.read);

/** The object of a resource, with the name that the provider would make up shown as such. */
export function declaredObject(resource: DeclaredResource): KubeObject | undefined {
  const { metadata } = unwrapSecrets(resource.inputs) as { metadata?: { name?: unknown } };
  const name = typeof metadata?.name === "string" ? metadata.name : `${resource.name}-${SHOWN.generated}`;
  return objectOf(resource, name);
}

/** Every object of a side: those of the program, then those of its charts. */
export function allObjects(side: SideResult): KubeObject[] {
  const declared = side.evaluation.resources.flatMap((resource) => declaredObject(resource) ?? []);
  return [...declared, ...[...side.releases.values()].flatMap(({ objects }) => objects)];
}

/** The texts that must not appear in a report: what the program calls secret, and what stands in Secrets. */
export function secretsOf(side: SideResult): string[] {
  const declared = [
    ...side.evaluation.resources.flatMap(({ inputs }) => secretTexts(inputs)),
    ...secretTexts(side.evaluation.outputs),
  ];
  const again = [...side.releases.values()].flatMap((release) => release.again);
  const stored = [...allObjects(side), ...again]
    .filter(({ kind }) => kind === "Secret")
    .flatMap((secret) => knownSecrets(secretEntries(secret)));
  return [...declared, ...stored];
}
