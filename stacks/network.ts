/** The NetworkPolicies of a stack, for the component that makes the namespace. */
import { type NamespacePolicy, networkPolicies } from "../components/network-policies/manifests";
import { layoutOf } from "../config/network";
import type { Settings } from "../config/schema";
import { LOCATIONS } from "../contract/facts";

/** Argument of a part's component; empty where the stack has none. */
export type PoliciesOf = (part: "nats" | "postgres" | "pgbouncer" | "noetl" | "jobs" | "gateway" | "guard") => {
  networkPolicies?: readonly NamespacePolicy[];
};

export function policiesOf(settings: Settings): PoliciesOf {
  const closed = settings.networkPolicies ? networkPolicies(layoutOf(settings)) : {};
  return (part) => ({ networkPolicies: closed[LOCATIONS[part].namespace] });
}
