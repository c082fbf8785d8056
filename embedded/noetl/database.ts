/** What NoETL's server does with its database before anything else. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { need, optional, place, say } from "./environment";

/**
 * Waits for the database with its schema: every failure is logged and tried again, a refused password too, as NoETL
 * does it, until NOETL_DB_STARTUP_TIMEOUT has passed.
 *
 * Without POSTGRES_HOST there is no database to wait for.
 *
 * @throws Error with the last failure.
 */
export async function waitForDatabase(): Promise<void> {
  if (optional("POSTGRES_HOST") === undefined) return say("No POSTGRES_HOST: working without a database");
  const deadline = Date.now() + Number(need("NOETL_DB_STARTUP_TIMEOUT", 180)) * 1000;
  const interval = Number(need("NOETL_DB_RETRY_INTERVAL", 5));
  for (;;) {
    try {
      await findSchema();
      return say("NoETL database schema initialized.");
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      if (Date.now() > deadline) throw new Error(`Error initializing NoETL database: ${text}`, { cause: error });
      say(`Database not ready or initialization failed: ${text}. Retrying in ${interval}s...`);
      await sleep(interval * 1000);
    }
  }
}

/** Connects as NoETL's role and reads the schema's main table. */
async function findSchema(): Promise<void> {
  const [host, port, user] = [need("POSTGRES_HOST"), Number(need("POSTGRES_PORT", 5432)), need("NOETL_USER", "noetl")];
  const schema = need("NOETL_SCHEMA", "noetl");
  const { host: address, port: local } = place(host, port);
  const client = new Client({
    host: address,
    port: local,
    user,
    password: need("NOETL_PASSWORD"),
    database: need("NOETL_POSTGRES_DB", "noetl"),
    connectionTimeoutMillis: 5000,
  });
  try {
    await client.connect();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw new Error(`connection to server at "${host}", port ${port} failed: ${text}`, { cause: error });
  }
  try {
    await client.query(`SELECT FROM ${client.escapeIdentifier(schema)}.event LIMIT 1`);
  } finally {
    await client.end();
  }
}
