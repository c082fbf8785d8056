/**
 * Has npm's own library loaded when somebody uses it, and not before. Pulumi's SDK loads it at every start, for functions that are
 * sent elsewhere together with the packages that they need: a third of the time that the SDK takes to load, in the program, in
 * the policy pack and in the dynamic providers. Loaded before the SDK, by an import or by Node's option `--require`.
 */
import Module from "node:module";

const LIBRARY = "@npmcli/arborist";

type Load = (this: unknown, request: string, ...more: unknown[]) => unknown;
const loader = Module as unknown as { _load: Load };
const load = loader._load;

loader._load = function (request, ...more) {
  if (request !== LIBRARY) return load.call(this, request, ...more);
  let library: object | undefined;
  const loaded = (): object => (library ??= load.call(this, request, ...more) as object);
  // As a compiled module: its importer then keeps this object, and copies no properties of it.
  return new Proxy(
    {},
    {
      get: (_, name) => (name === "__esModule" ? true : (Reflect.get(loaded(), name) as unknown)),
      has: (_, name) => name in loaded(),
    },
  );
};
