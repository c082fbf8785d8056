import * as pulumi from "@pulumi/pulumi";
import type { Login, LoginInputs } from "./provider";

export interface DatabaseLoginArgs {
  /** The role that is asked for. */
  user: pulumi.Input<string>;
  password: pulumi.Input<string>;
}

/** Loads the compiled module, as `StreamContract`'s stub does. */
function provider(): typeof import("./provider") {
  const { createRequire } = require("module") as typeof import("node:module");
  const fromProgram = createRequire(process.cwd() + "/package.json");
  return fromProgram("noetl-nats/database-login/provider") as typeof import("./provider");
}

const stub: pulumi.dynamic.ResourceProvider = {
  check: (olds: object, news: object) => Promise.resolve(provider().check(olds, news)),
  diff: (_id: string, olds: object, news: object) => Promise.resolve(provider().diff(olds, news)),
  create: (inputs: object) => Promise.resolve({ id: (inputs as LoginInputs).base, outs: inputs }),
  update: (_id: string, _olds: object, news: object) => Promise.resolve({ outs: news }),
};

/**
 * A role's login, in the state alone. Postgres keeps one password for a role, so that two passwords which are to be valid at a time
 * need two roles: the first login is the role itself, the next `<role>_2`, and so on.
 *
 * What is in the database follows in `load_schema.py`, which lets a login in, and `retire_logins.py`.
 */
export class DatabaseLogin extends pulumi.dynamic.Resource {
  /** Name that is logged in with. */
  declare readonly user: pulumi.Output<string>;
  /** Its password, a secret. */
  declare readonly password: pulumi.Output<string>;
  /** This login and those before it, the newest first; a secret. */
  declare private readonly logins: pulumi.Output<readonly Login[]>;

  constructor(name: string, args: DatabaseLoginArgs, opts: pulumi.CustomResourceOptions = {}) {
    super(
      stub,
      name,
      // The provider fills `logins` in; what is given as a secret stays one.
      { user: args.user, password: pulumi.secret(args.password), logins: pulumi.secret([]) },
      pulumi.mergeOptions(opts, { additionalSecretOutputs: ["password", "logins"] }),
      "noetl-nats",
      "DatabaseLogin",
    );
  }

  /** The logins before this one, the newest first; a secret. */
  get former(): pulumi.Output<readonly Login[]> {
    return pulumi.secret(this.logins.apply((logins) => logins.slice(1)));
  }
}
