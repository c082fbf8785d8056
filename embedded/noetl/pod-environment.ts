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

/**
 * Where an address leads to from here: an in-cluster one to the local port behind it, every other one to itself.
 *
 * @throws Error as the resolver or the network would fail.
 */
export function place(host: string, port: number): { host: string; port: number } {
  const names = JSON.parse(fs.readFileSync(need("EMBEDDED_NAMES"), "utf8")) as Record<string, number>;
  const local = names[`${host}:${port}`];
  if (local) return { host: "127.0.0.1", port: local };
  if (local === 0 || Object.keys(names).some((name) => name.startsWith(`${host}:`))) throw notTaken(host, port);
  if (/\.svc(\.cluster\.local)?$/.test(host)) throw new Error(`[Errno -2] Name or service not known: ${host}`);
  return { host, port };
}

/** What a client says where nobody takes its connection. */
const notTaken = (host: string, port: number) => new Error(`[Errno 111] Connect call failed ('${host}', ${port})`);

/**
 * A request to a URL that may be an in-cluster one.
 *
 * @throws Error with what went wrong: `fetch` itself says "fetch failed", and has the reason behind it. A server that
 *   has ended just now may still have its local port in the list of names.
 */
export async function request(url: string, options?: RequestInit): Promise<Response> {
  const { protocol, hostname, port: given, pathname, search } = new URL(url);
  const port = Number(given || (protocol === "https:" ? 443 : 80));
  const there = place(hostname, port);
  try {
    return await fetch(`http://${there.host}:${there.port}${pathname}${search}`, options);
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code === "ECONNREFUSED") throw notTaken(hostname, port);
    throw cause instanceof Error && cause.message !== "" ? cause : error;
  }
}
