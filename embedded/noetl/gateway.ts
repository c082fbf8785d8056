import type * as http from "node:http";
import { GATEWAY } from "../../contract/facts";
import { flag, need, optional, request as fetchInCluster } from "./pod-environment";
import { bodyOf, json, listen } from "./listen";
import { messageOf, say } from "./log";
import { connectOnce } from "./nats";

const METHODS = "GET,POST,PUT,DELETE,PATCH,OPTIONS";
const HEADERS = "content-type,authorization,x-session-id,x-session-token,x-user-id,x-request-id";

/** Where the gateway's own code is not reached and an error page comes from a proxy or CDN, see README.md. */
const PROXY_SWITCH = "EMBEDDED_PROXY_ANSWERS_ERRORS";

/** Start-up of the gateway, its answers to browsers, and its way to the server behind it. */
export async function gateway(): Promise<void> {
  say("Gateway configuration loaded:");
  // With its password, as the gateway itself does whatever its level.
  say(`  NATS: ${need("NATS_URL")}`);
  const connection = await connectOnce("gateway");
  const views = connection.jetstream().views;
  await views.kv(need("NATS_SESSION_BUCKET", GATEWAY.sessionBucket), {
    ttl: Number(need("NATS_SESSION_CACHE_TTL_SECS", GATEWAY.sessionTtlSeconds)) * 1000,
  });
  await views.kv(need("NATS_REQUEST_BUCKET", GATEWAY.requestBucket), {
    ttl: Number(need("NATS_REQUEST_TTL_SECS", GATEWAY.requestTtlSeconds)) * 1000,
  });
  const origins = need("CORS_ALLOWED_ORIGINS")
    .split(",")
    .map((each) => each.trim());
  listen(async (request, response) => {
    const cors = corsHeaders(request, origins);
    for (const [name, value] of Object.entries(cors)) response.setHeader(name, value);
    if (request.method === "OPTIONS" && request.headers["access-control-request-method"]) {
      response.writeHead(200).end();
      return;
    }
    const { status, body } = await answer(request);
    if (status >= 500 && flag(PROXY_SWITCH)) {
      for (const name of Object.keys(cors)) response.removeHeader(name);
      response.writeHead(status, { "content-type": "text/html" }).end(`<html><h1>Error ${status}</h1></html>`);
      return;
    }
    if (typeof body === "string") response.writeHead(status).end(body);
    else json(response, status, body);
  });
  say("Gateway is ready");
}

/** Headers of the CORS layer, which lies around every route: on preflights and on answers of any status. */
function corsHeaders(request: http.IncomingMessage, origins: readonly string[]): Record<string, string> {
  const { origin } = request.headers;
  return {
    vary: "origin, access-control-request-method, access-control-request-headers",
    ...(optional("CORS_ALLOW_CREDENTIALS") === "false" ? {} : { "access-control-allow-credentials": "true" }),
    ...(origin !== undefined && origins.includes(origin) ? { "access-control-allow-origin": origin } : {}),
    ...(request.method === "OPTIONS"
      ? { "access-control-allow-methods": METHODS, "access-control-allow-headers": HEADERS }
      : {}),
  };
}

interface Answer {
  status: number;
  body: unknown;
}

async function answer(request: http.IncomingMessage): Promise<Answer> {
  const path = request.url ?? "/";
  if (path === "/health") return { status: 200, body: "ok" };
  if (request.method === "POST" && ["/api/auth/login", "/api/auth/validate"].includes(path)) {
    return authenticate(path.endsWith("login") ? "Login" : "Validate session");
  }
  if (path.startsWith("/noetl/")) return forward(request, path.slice("/noetl/".length));
  return { status: 404, body: "" };
}

/** Playbook of the sign-in, which NoETL's own set-up registers after a deployment. */
const SIGN_IN = "api_integration/auth0/auth0_validate_session";

/** Logins and sessions are decided by a playbook that the server runs; here it never decides in anybody's favour. */
async function authenticate(what: string): Promise<Answer> {
  try {
    const execution = await backend("/api/execute", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path: SIGN_IN, payload: {} }),
    });
    if (!execution.ok) throw new Error(`NoETL API error ${execution.status}: ${await execution.text()}`);
    return { status: 401, body: { error: "Invalid or expired session" } };
  } catch (error) {
    return { status: 502, body: { error: `${what} playbook failed: ${messageOf(error)}` } };
  }
}

/** `/noetl/PATH` is `/api/PATH` of the server, for those who have a session. */
async function forward(request: http.IncomingMessage, path: string): Promise<Answer> {
  const { authorization, "x-session-token": token } = request.headers;
  if (!authorization?.startsWith("Bearer ") && !token) return { status: 401, body: "Missing authentication token" };
  if (!flag("GATEWAY_AUTH_BYPASS")) return authenticate("Validate session");
  const body = await bodyOf(request);
  try {
    const reply = await backend(`/api/${path}`, { method: request.method ?? "GET", body: body || undefined });
    return { status: reply.status, body: await reply.text() };
  } catch (error) {
    return { status: 502, body: { error: `Proxy request failed: ${messageOf(error)}` } };
  }
}

const backend = (path: string, options: RequestInit): Promise<Response> =>
  fetchInCluster(`${need("NOETL_BASE_URL").replace(/\/$/, "")}${path}`, options);
