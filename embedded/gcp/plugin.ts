import { changes } from "../plugin/diff";
import type { Resource, StandIn } from "../plugin/stand-in";
import { sdkVersion } from "../plugin/version";
import { hasUnknown, type JsonObject, UNKNOWN, unwrap } from "../plugin/wire";
import { called, type ControlPlane, created } from "./outputs";
import { inputProblems } from "./schema";

/** What exists, by type and id. Shared with the REST interfaces. */
export type Inventory = Map<string, JsonObject>;

/** Properties whose change makes another resource of it. Source: the resources' documentation ("forces replacement"). */
const REPLACING = new Set([
  "project",
  "name",
  "location",
  "region",
  "network",
  "subnetwork",
  "ipAllocationPolicy",
  "accountId",
  "repositoryId",
  "instance",
  "member",
  "role",
  "serviceAccountId",
  "ipCidrRange",
]);

/** Types whose deletion is refused while their state says `deletionProtection`. */
const PROTECTED = /^gcp:(container\/cluster|sql\/databaseInstance):/;

function resource(type: string, inventory: Inventory, controlPlane: ControlPlane): Resource {
  const key = (id: string) => `${type} ${id}`;
  return {
    check({ news }) {
      const failures = inputProblems(type, unwrap(news)).map((reason) => ({ property: "", reason }));
      return { inputs: news, failures };
    },
    diff({ oldInputs, news }) {
      const found = changes(unwrap(oldInputs), unwrap(news), ([property]) => REPLACING.has(String(property)));
      return { changes: found, deleteBeforeReplace: found.some(({ replace }) => replace) };
    },
    create({ inputs, preview }) {
      const plain = unwrap(inputs);
      const { id, outputs } = created(type, plain, controlPlane);
      if (preview) {
        const unknown = Object.keys(outputs).map((name) => [name, UNKNOWN]);
        return { id: "", properties: { ...inputs, ...(Object.fromEntries(unknown) as JsonObject) } };
      }
      if (hasUnknown(plain)) throw new Error(`${type} is to be created with values that are not known`);
      if (inventory.has(key(id))) throw new Error(`Error 409: ${id} already exists`);
      const properties = { ...inputs, ...(outputs as JsonObject) };
      inventory.set(key(id), properties);
      return { id, properties };
    },
    read({ id, inputs }) {
      const properties = inventory.get(key(id));
      return properties && { id, inputs, properties };
    },
    update({ id, news, olds, preview }) {
      const known = hasUnknown(unwrap(news)) ? {} : created(type, unwrap(news), controlPlane).outputs;
      const properties = { ...olds, ...news, ...(known as JsonObject) };
      if (!preview) inventory.set(key(id), properties);
      return properties;
    },
    delete({ id, olds }) {
      if (PROTECTED.test(type) && unwrap(olds).deletionProtection === true)
        throw new Error(
          `${id} cannot be destroyed because deletion_protection is set to true. Set it to false and apply, then destroy`,
        );
      inventory.delete(key(id));
    },
  };
}

/** The plugin `gcp`: every resource of the stacks, held against the official schemas. */
export function gcpStandIn(inventory: Inventory, controlPlane: ControlPlane): StandIn {
  return {
    name: "gcp",
    version: sdkVersion("gcp"),
    configure: () => (type) => resource(type, inventory, controlPlane),
    call(token, args) {
      const problems = inputProblems(token, args);
      if (problems.length > 0) throw new Error(problems.join("; "));
      return called(token, args) as JsonObject;
    },
  };
}
