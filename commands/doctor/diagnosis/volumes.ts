import { GKE_STORAGE_CLASS } from "../../../contract/defaults";
import { LOCATIONS } from "../../../contract/facts";
import { MEBIBYTE, quantityBytes } from "../../../contract/validate";
import type { Evidence, VolumeTerms } from "../evidence";
import { quoted } from "../text";
import { run, say, type Step } from "./finding";
import { setAndUpdate, update } from "./update";

/** What Kubernetes says of a StatefulSet whose volumes were to change. */
const FIXED = /StatefulSet\.apps "([^"]+)" is invalid: spec: Forbidden: updates to statefulset spec/;

/**
 * What to do after an update that was to change what a StatefulSet asks of its volumes, which Kubernetes does not change there.
 *
 * @returns undefined where `description`, Helm's words of the failed update, is about something else
 */
export function fixedVolumes(evidence: Evidence, namespace: string, description: string): Step[] | undefined {
  const set = FIXED.exec(description)?.[1];
  if (set === undefined) return undefined;
  const { namespaces, natsVolume: wanted } = evidence;
  const found = Object.values(namespaces).find((each) => each.ok && each.value.name === namespace);
  const facts = found?.ok ? found.value : undefined;
  const present = facts?.workloads.find(({ name }) => name === set)?.volume ?? {};
  if (present.storageClass !== wanted.storageClass) return formerClass(evidence, present);
  const [from, to] = [present.size, wanted.size].map((size) => quantityBytes(size ?? ""));
  if (from !== undefined && to !== undefined && to < from) {
    return [
      say(`A volume is never made smaller: it has ${present.size}, and ${wanted.sizeSetting} asks for ${wanted.size}.`),
      ...setAndUpdate(evidence, { [wanted.sizeSetting]: present.size }),
    ];
  }
  return [
    say(
      "The size of its volumes stands in the StatefulSet and cannot be changed there. " +
        (present.size === undefined ? "Give " : `Set ${wanted.sizeSetting} to ${present.size} again, or give `) +
        "every claim the new one, which its StorageClass must allow, and recreate the StatefulSet; its pods go on:",
    ),
    ...grown(evidence, { namespace, set, size: wanted.size }),
    update(evidence),
  ];
}

/** The largest that `natsJetstreamFileSize` takes, 16Ti. */
const MOST_MEBIBYTES = 16 * MEBIBYTE;

/** Volumes of NATS of twice the size. */
export function largerVolume(evidence: Evidence): Step[] {
  const { size, sizeSetting } = evidence.natsVolume;
  const { nats } = evidence.namespaces;
  const namespace = nats?.ok ? nats.value.name : LOCATIONS.nats.namespace;
  const larger = `${Math.min(Math.ceil(((quantityBytes(size) ?? 0) * 2) / MEBIBYTE), MOST_MEBIBYTES)}Mi`;
  return [
    say("Volumes of twice the size, which their StorageClass must allow; the pods go on meanwhile:"),
    ...grown(evidence, { namespace, set: LOCATIONS.nats.service, size: larger }),
    ...setAndUpdate(evidence, { [sizeSetting]: larger }),
  ];
}

/** Gives every claim of a StatefulSet another size, and takes the StatefulSet away so that the next update makes it with that size. */
function grown(
  { kubectl, namespaces }: Evidence,
  { namespace, set, size }: { readonly namespace: string; readonly set: string; readonly size: string },
): Step[] {
  const found = Object.values(namespaces).find((each) => each.ok && each.value.name === namespace);
  const known = found?.ok ? found.value.claims.filter(({ name }) => name.includes(`-${set}-`)) : [];
  // Who may not list them has to put in their names.
  const claims = known.length > 0 ? known : [{ name: "CLAIM", phase: "Bound" }];
  const patch = `-p '{"spec":{"resources":{"requests":{"storage":"${size}"}}}}'`;
  return [
    ...claims.map(({ name, phase }) =>
      run(
        phase === "Bound"
          ? `${kubectl} -n ${namespace} patch pvc ${quoted(name)} ${patch}`
          : // Only a claim with a volume can grow; one without is made again.
            `${kubectl} -n ${namespace} delete pvc ${quoted(name)}`,
      ),
    ),
    run(`${kubectl} -n ${namespace} delete statefulset ${quoted(set)} --cascade=orphan`),
  ];
}

/** Back to the StorageClass that the volumes have. */
function formerClass(evidence: Evidence, { storageClass }: VolumeTerms): Step[] {
  const byDefault = storageClass === undefined || storageClass === GKE_STORAGE_CLASS;
  return [
    say(
      "The StorageClass of its volumes stands in the StatefulSet and cannot be changed there, and nothing moves what is on them " +
        "to volumes of another class. Take the former one:",
    ),
    ...(byDefault
      ? [run(`pulumi config rm natsStorageClass --stack ${evidence.stack}`), update(evidence)]
      : setAndUpdate(evidence, { natsStorageClass: storageClass })),
  ];
}
