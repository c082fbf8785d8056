import type { Facts } from "./preflight";
import { fitPod, mayBurst, resourcesOf } from "../../config/gke/autopilot";
import { type PodName, podsOf } from "../../config/gke/pods";
import type { Resources } from "../../components/shared";
import type { Settings } from "../../config/schema";

/** Resources of a workload's containers, in their order, by Autopilot's rules where they apply; none for one that is not deployed. */
export function resourcesFor(settings: Settings, facts: Facts): (name: PodName) => Resources[] {
  const pods = podsOf(settings);
  const autopilot = facts.cluster?.autopilot ?? true;
  const bursting = facts.cluster && autopilot ? mayBurst(facts.cluster.createdWith) : true;
  return (name) => {
    const pod = pods.find((each) => each.name === name);
    if (!pod) return [];
    return (autopilot ? fitPod(pod, bursting) : pod).containers.map(resourcesOf);
  };
}
