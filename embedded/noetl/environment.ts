/** The environment that the deployed pod got, and what stands for the cluster's DNS. */
import * as fs from "node:fs";

const env = process.env;

/** A variable's value, or the specification's default where it is unset. @throws Error where there is neither. */
export function need(name: string, fallback?: string | number): string {
  const value = env[name] ?? (fallback === undefined ? undefined : String(fallback));
  if (value === undefined || value === "") throw new Error(`environment variable ${name} is not set`);
  return value;
}

export const optional = (name: string): string | undefined => env[name];

export const flag = (name: string): boolean => ["true", "1"].includes(env[name]?.toLowerCase() ?? "");

/** Writes a line to the log. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Local port of an in-cluster address; fails as the resolver or the network would. */
export function resolve(host: string, port: number): number {
  const names = JSON.parse(fs.readFileSync(need("EMBEDDED_NAMES"), "utf8")) as Record<string, number>;
  const local = names[`${host}:${port}`];
  if (local) return local;
  if (Object.keys(names).some((name) => name.startsWith(`${host}:`))) {
    throw new Error(`[Errno 111] Connect call failed ('${host}', ${port})`);
  }
  throw new Error(`[Errno -2] Name or service not known: ${host}`);
}

/** A request to an in-cluster URL. */
export function request(url: string, options?: RequestInit): Promise<Response> {
  const { protocol, hostname, port, pathname, search } = new URL(url);
  const local = resolve(hostname, Number(port || (protocol === "https:" ? 443 : 80)));
  return fetch(`http://127.0.0.1:${local}${pathname}${search}`, options);
}
