/** What NoETL's server does with its database before anything else. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { need, optional, place } from "./pod-environment";
import { messageOf, say } from "./log";

/** How long the pool tries to fill itself, in seconds; no variable changes it. */
const POOL_SECONDS = 30;
/** How a server ends whose start-up failed. */
const STARTUP_FAILED = 3;

/**
 * Waits for the database and its schema: a connection that fails, a refused password too, is logged and tried again after
 * 1, 2, 4, 8 ... s. The process ends where none stands after half a minute, and at once where the schema is missing.
 *
 * Without POSTGRES_HOST there is no database to wait for.
 */
export async function waitForDatabase(): Promise<void> {
  if (optional("POSTGRES_HOST") === undefined) return say("No POSTGRES_HOST: working without a database");
  const deadline = Date.now() + POOL_SECONDS * 1000;
  let client: Client | undefined;
  for (let pause = 1; client === undefined; pause *= 2) {
    try {
      client = await open();
    } catch (error) {
      const [host, port] = [need("POSTGRES_HOST"), need("POSTGRES_PORT", 5432)];
      say(
        `[WARNING] ${new Date().toISOString().slice(0, 23).replace(".", ",")} (psycopg.pool:_add_connection:758) - ` +
          `error connecting in 'noetl_server': connection failed: connection to server at "${host}", port ${port} ` +
          `failed: ${messageOf(error)}`,
      );
      if (Date.now() + pause * 1000 > deadline) {
        await sleep(Math.max(0, deadline - Date.now()));
        fail(`psycopg_pool.PoolTimeout: pool initialization incomplete after ${POOL_SECONDS}.0 sec`);
      }
      await sleep(pause * 1000);
    }
  }
  try {
    await client.query(`SELECT FROM ${client.escapeIdentifier(need("NOETL_SCHEMA", "noetl"))}.event LIMIT 1`);
  } catch (error) {
    fail(`psycopg.errors.UndefinedTable: ${messageOf(error)}`);
  } finally {
    await client.end();
  }
}

/** Connects as NoETL's role. */
async function open(): Promise<Client> {
  const { host, port } = place(need("POSTGRES_HOST"), Number(need("POSTGRES_PORT", 5432)));
  const client = new Client({
    host,
    port,
    user: need("NOETL_USER", "noetl"),
    password: need("NOETL_PASSWORD"),
    database: need("NOETL_POSTGRES_DB", "noetl"),
    connectionTimeoutMillis: 5000,
  });
  try {
    await client.connect();
  } catch (error) {
    // As libpq puts what the server says.
    const said = (error as { severity?: string }).severity;
    throw said === undefined ? error : new Error(`${said}:  ${messageOf(error)}`, { cause: error });
  }
  return client;
}

function fail(text: string): never {
  say(`ERROR:    Traceback (most recent call last):\n${text}\n\nERROR:    Application startup failed. Exiting.`);
  process.exit(STARTUP_FAILED);
}
