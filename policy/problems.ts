import { spilledCredentials } from "./credentials";
import { rendering } from "./render";
import { itemsOf, type ResourceView } from "./resource";
import { isStackRule, type Rule } from "./rule";

/** A problem and the resource that has it. */
export interface Problem {
  readonly urn?: string;
  readonly problem: string;
}

/** Resources, each followed by the objects that it renders where it is a Helm release. */
export type Render = (resource: ResourceView) => readonly ResourceView[];

const objectsOf: Render = (resource) => rendering(resource).objects;

/**
 * What a rule finds in resources and in what their releases render. Of an object it says which it is; the release is the resource
 * that the engine names.
 */
export function problemsOf(rule: Rule, declared: readonly ResourceView[], render: Render = objectsOf): Problem[] {
  const resources = declared.flatMap(itemsOf);
  if (isStackRule(rule)) return rule.checkStack(resources.flatMap((each) => [each, ...render(each)]));
  return resources.flatMap((resource) => {
    const objects = render(resource);
    const found = [
      ...rule.check(resource),
      ...objects.flatMap((object) => rule.check(object).map((problem) => `${object.name}, rendered: ${problem}`)),
      ...(rule.seesEncryption ? spilledCredentials(resource, objects) : []),
    ];
    return [...new Set(found)].map((problem) => ({ urn: resource.urn, problem }));
  });
}
