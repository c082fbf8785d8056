/**
 * Before NoETL or its gateway is installed or upgraded: will it be able to make its stream and consumer, its buckets, and to use
 * what it finds? Helm would otherwise wait for pods that crash-loop, and end with "context deadline exceeded" after minutes.
 */
import { observe, retrying } from "./check";
import { openSession } from "./nats/connect";
import { Deadline } from "./deadline";
import { ConnectError } from "./errors";
import type { ContractInputs } from "./inputs";
import { masker } from "./mask";
import { harmless } from "./mask/harmless";
import { contractMessage } from "./message";
import type { PodFacts } from "./kubernetes/pod-facts";
import { podsOf, previousLog } from "./kubernetes/pods";
import { evaluateRules, type RuleResult } from "./rules";

/** How long NATS is given to answer, in seconds; it has just been deployed. */
const PREFLIGHT_SECONDS = 30;

/** What was found before a part is touched. */
export type Preflight =
  /** Nothing that is known of stands in its way. */
  | { readonly result: "clear" }
  /** It would not work; why, and how to fix it. */
  | { readonly result: "blocked"; readonly report: string }
  /** NATS could not be asked, which is not the part's trouble yet. */
  | { readonly result: "skipped"; readonly why: string };

/** What a start does not put right: violations for which waiting makes no sense. What is merely not there yet is none. */
const standsInTheWay = ({ ok, severity, waits }: RuleResult): boolean =>
  !ok && severity === "violation" && waits === undefined;

/** What is about to be deployed. */
export type Part = "noetl" | "gateway";

/** Rules about what the gateway makes and does itself. */
const isGateways = ({ rule: { about } }: RuleResult): boolean => about === "bucket" || about === "gateway";

/** Asks what stands in the way of a part, and changes nothing. */
export async function preflight(inputs: ContractInputs, part: Part = "noetl"): Promise<Preflight> {
  const asked = {
    ...inputs,
    gateway: part === "gateway" ? inputs.gateway : undefined,
    timeoutSeconds: Math.min(inputs.timeoutSeconds, PREFLIGHT_SECONDS),
  };
  try {
    return await retrying(asked, async (deadline) => {
      const session = await openSession(asked, deadline);
      try {
        const { observed } = await observe({ session, inputs: asked, deadline });
        const blocking = evaluateRules(asked, observed).filter(
          (broken) => standsInTheWay(broken) && (part === "noetl" || isGateways(broken)),
        );
        if (blocking.length === 0) return { result: "clear" };
        return { result: "blocked", report: contractMessage(asked, blocking, { session, observed }) };
      } finally {
        await session.close();
      }
    });
  } catch (error) {
    if (error instanceof ConnectError) return { result: "skipped", why: error.message };
    throw error;
  }
}

/** A stream that a restart of its server takes along. */
export interface Loss {
  readonly name: string;
  readonly messages: number;
}

/** The streams that one server alone keeps in memory, by name; undefined where they cannot be asked for. */
export async function memoryStreams(inputs: ContractInputs): Promise<Loss[] | undefined> {
  const deadline = new Deadline(LOOK_SECONDS * 1000);
  try {
    const session = await openSession(inputs, deadline);
    try {
      const { items } = await session.streams(deadline);
      return items
        .filter(({ config }) => String(config.storage) === "memory" && config.num_replicas === 1)
        .map(({ config, state }) => ({ name: config.name, messages: state.messages }))
        .sort((a, b) => a.name.localeCompare(b.name));
    } finally {
      await session.close();
    }
  } catch (error) {
    if (error instanceof ConnectError) return undefined;
    throw error;
  }
}

/** Pods that crash more often than while they wait for one another. */
const CRASHES = 2;

/** Something that keeps NoETL from becoming ready. */
export interface Hindrance {
  /** The same for the same trouble. */
  readonly id: string;
  readonly message: string;
}

/**
 * What keeps NoETL from becoming ready while Helm waits for it: the contract, and the last words of pods that crash. Each is looked for by
 * itself, so that none hides the others.
 */
export async function hindrances(inputs: ContractInputs): Promise<Hindrance[]> {
  const contract = async (): Promise<Hindrance[]> => {
    const { result, ...why } = await preflight({ ...inputs, timeoutSeconds: LOOK_SECONDS });
    return result === "blocked" && "report" in why ? [{ id: "contract", message: why.report }] : [];
  };
  const pods = async (): Promise<Hindrance[]> => {
    const { noetl = [] } = (await podsOf(inputs, new Deadline(LOOK_SECONDS * 1000))) ?? {};
    return (await Promise.all(noetl.map((pod) => crashOf(pod, inputs)))).flat();
  };
  const found = await Promise.allSettled([contract(), pods()]);
  return found.flatMap((each) => (each.status === "fulfilled" ? each.value : []));
}

async function crashOf({ name, container, ...pod }: PodFacts, inputs: ContractInputs): Promise<Hindrance[]> {
  const { ready, restarts, ended = "no reason given" } = pod;
  if (ready || restarts < CRASHES || container === undefined) return [];
  const words = await lastWordsOf(inputs, name, container).catch(() => "");
  return [{ id: name, message: `pod ${name} has ended ${restarts} times (${ended})${words}` }];
}

/** How long one look beside Helm's wait may take, in seconds. */
const LOOK_SECONDS = 8;

async function lastWordsOf(inputs: ContractInputs, pod: string, container: string): Promise<string> {
  const log = await previousLog(inputs, { pod, container }, new Deadline(LOOK_SECONDS * 1000));
  const words = log === undefined ? undefined : lastWords(log, inputs);
  return words === undefined ? "" : `; its last words: ${words}`;
}

/** The last line of a log as it is shown in an update, where nobody asked for it: without credentials and without what a terminal obeys. */
export function lastWords(log: string, inputs: ContractInputs): string | undefined {
  const { gateway, noetlLogin } = inputs;
  const logins = [inputs, gateway, noetlLogin, noetlLogin?.worker];
  const known = (key: "user" | "password"): string[] => logins.flatMap((login) => login?.[key] ?? []);
  const mask = masker(known("password"), known("user"));
  // Before it is cut: half a credential is not found any more.
  const line = mask(harmless(lastSentence(log) ?? ""));
  return line === "" ? undefined : line.length > LINE_LENGTH ? `${line.slice(0, LINE_LENGTH)}...` : line;
}

/** Longest part of a line that is shown. */
const LINE_LENGTH = 400;

/** The last line of a log; of NoETL's JSON lines the message, and the last line of the traceback in it. */
export function lastSentence(log: string): string | undefined {
  const last = log.trim().split("\n").at(-1)?.trim();
  if (last === undefined || last === "") return undefined;
  return last.startsWith("{") ? sentenceOfJson(last) : last;
}

function sentenceOfJson(line: string): string {
  try {
    const { message, exception, exc_info: info } = JSON.parse(line) as Record<string, unknown>;
    const traceback = [exception, info].find((value) => typeof value === "string" && value !== "") as
      string | undefined;
    const texts = [message, traceback?.trim().split("\n").at(-1)].filter((value) => typeof value === "string");
    return texts.length > 0 ? [...new Set(texts)].join(": ").replace(/\s+/g, " ") : line;
  } catch {
    return line;
  }
}
