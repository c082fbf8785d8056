/**
 * Kubernetes' rule for the `value` of a container's variable: `$(NAME)` is a variable before it, `$$` stands for `$`. A reference to one that
 * is not there stays as it is.
 */
export const expand = (value: string, env: Readonly<Record<string, string>>): string =>
  value.replace(/\$\$|\$\(([-._a-zA-Z0-9]+)\)/g, (whole, name?: string) =>
    name === undefined ? "$" : Object.hasOwn(env, name) ? (env[name] ?? whole) : whole,
  );
