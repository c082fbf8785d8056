/** The policy pack that `pulumi preview --policy-pack policy` runs; its rules stand in rules.ts. */
import {
  PolicyPack,
  type PolicyResource,
  type ResourceValidationArgs,
  type ResourceValidationPolicy,
} from "@pulumi/policy";
import { problemsOf } from "./problems";
import { bareProperties, type ResourceView } from "./resource";
import { isStackRule, type ResourceRule, type Rule } from "./rule";
import { RULES } from "./rules";

const viewOf = (resource: ResourceValidationArgs | PolicyResource): ResourceView => ({
  type: resource.type,
  name: resource.name,
  urn: resource.urn,
  props: bareProperties(resource.props),
  protect: resource.opts.protect,
  parentType: "parent" in resource && resource.parent ? resource.parent.type : undefined,
});

const statement = (rule: Rule) => ({
  name: rule.name,
  description: rule.demand,
  severity: rule.severity,
  remediationSteps: rule.remedy,
});

const sentences = (rule: Rule, resource: ResourceValidationArgs): string[] =>
  problemsOf(rule, [viewOf(resource)]).map(({ problem }) => problem);

/** A rule about one resource that does not ask what is encrypted. */
const resourcePolicy = (rule: ResourceRule): ResourceValidationPolicy => ({
  ...statement(rule),
  enforcementLevel: rule.advisory ? "advisory" : "mandatory",
  validateResource: (args, report) => {
    for (const problem of sentences(rule, args)) report(problem);
  },
});

/**
 * A rule about one resource that may look at which values are encrypted.
 *
 * `@pulumi/policy` shows that only to remediations, which the engine runs first, resource by resource. So the check is
 * made there, changes nothing, and is handed out when the engine asks for it. A "remediate" policy that finds something
 * counts as mandatory.
 */
function encryptionPolicy(rule: ResourceRule): ResourceValidationPolicy {
  const found = new Map<string, string[]>();
  return {
    ...statement(rule),
    enforcementLevel: "remediate",
    remediateResource: (args) => void found.set(args.urn, sentences(rule, args)),
    validateResource: (args, report) => {
      const problems = found.get(args.urn);
      found.delete(args.urn);
      if (!problems)
        throw new Error(`${rule.name} runs at its own enforcement level "remediate" only, or is "disabled"`);
      for (const problem of problems) report(problem);
    },
  };
}

new PolicyPack("noetl-nats", {
  policies: RULES.map((rule) =>
    isStackRule(rule)
      ? {
          ...statement(rule),
          enforcementLevel: rule.advisory ? ("advisory" as const) : ("mandatory" as const),
          validateStack: (args, report) => {
            for (const { urn, problem } of problemsOf(rule, args.resources.map(viewOf))) report(problem, urn);
          },
        }
      : rule.seesEncryption
        ? encryptionPolicy(rule)
        : resourcePolicy(rule),
  ),
});
