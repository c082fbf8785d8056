/**
 * Has libraries loaded when somebody uses them, and not before. Pulumi's SDK loads them at every start, for functions that are sent
 * elsewhere together with the packages that they need: npm's own library is a third of the time that the SDK takes to load, TypeScript
 * half of the rest. The policy pack and the dynamic providers never use them, the program uses TypeScript. Loaded before the SDK, by
 * an import or by Node's option `--require`.
 */
import Module from "node:module";

/** As the SDK asks for them. */
const LIBRARIES = [
  "@npmcli/arborist",
  "normalize-package-data",
  "../../typescript-shim",
  "./typescript-shim",
  // Loaded for what it does: from then on every text of an error's stack is looked up in maps of sources, also where nobody reads it.
  "source-map-support/register",
];

type Load = (this: unknown, request: string, ...more: unknown[]) => unknown;
const loader = Module as unknown as { _load: Load };
const load = loader._load;

loader._load = function (request, ...more) {
  if (!LIBRARIES.includes(request)) return load.call(this, request, ...more);
  let library: object | undefined;
  const loaded = (): object => (library ??= load.call(this, request, ...more) as object);
  // As a compiled module: its importer then keeps this object, and copies no properties of it.
  return new Proxy(
    {},
    {
      get: (_, name) => {
        if (name === "__esModule") return true;
        // What has no default of its own is the default itself, as the compiler's helper has it.
        return name === "default" && !("default" in loaded()) ? loaded() : (Reflect.get(loaded(), name) as unknown);
      },
      has: (_, name) => name in loaded(),
    },
  );
};
