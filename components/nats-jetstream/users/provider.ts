/**
 * The provider behind {@link NatsUsers}, as an ordinary compiled module: the state holds only a stub that loads it, as that of
 * `StreamContract` does.
 *
 * One Secret holds the file of users that nats.conf includes. Step `admit`, before anything that logs in is deployed, adds the
 * login that is asked for and keeps those that are let in; it ends when every server accepts the new one. Step `retire`, after
 * everything that logs in, waits for the pods that leave, lets the declared users in alone, and ends when every server refuses the
 * others. What is let in stands in the Secret and nowhere else, so that a run which is interrupted anywhere is taken up by the next.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { unknownValue } from "@pulumi/pulumi/runtime/rpc";
import { Deadline, inSeconds, within } from "../../../contract/deadline";
import { ConnectError } from "../../../contract/errors";
import { asServersAre, withDefaults } from "../../../contract/inputs";
import { clusterAccess } from "../../../contract/kubernetes/api";
import { applySecret, listObjects, type Pod, readSecret } from "../../../contract/kubernetes/objects";
import type { ClusterAccess } from "../../../contract/kubernetes/kubeconfig";
import { isAlive } from "../../../contract/kubernetes/pods";
import { openSession } from "../../../contract/nats/connect";
import { credential } from "../../../contract/validate";
import {
  admitted,
  differencesOf,
  type Login,
  nameLogin,
  namesGiven,
  type Naming,
  USERS_FILE,
  usersIn,
  usersText,
  without,
} from "../../../contract/nats/users";
import { connectionOf, given, LOOK_SECONDS, liveChanges } from "../kept-secret";
import { serversToAsk, waitingWords } from "./servers";

/** A further user as it is asked for. */
export interface ExtraUser extends Login {
  /** Each new password gets a user of its own, whose name {@link UsersInputs.named} has. */
  readonly rotates?: boolean;
}

/** What the stub's resource passes on; `base`, `numbers` and `named` are {@link check}'s own. */
export interface UsersInputs extends Naming {
  readonly step: "admit" | "retire";
  readonly namespace: string;
  readonly secretName: string;
  /** Further users. */
  readonly extraUsers: readonly ExtraUser[];
  /** Names of those of them whose names change, by the name that is asked for; missing where there are none. */
  readonly named?: Readonly<Record<string, Pick<Naming, "user" | "numbers">>>;
  readonly kubeconfig?: string;
  readonly context?: string;
  /** How long the servers have until the file has reached them, in seconds. */
  readonly timeoutSeconds: number;
  /** Of step `retire` the namespaces of pods that log in. */
  readonly clients?: readonly string[];
}

/** How long one request to the cluster may take, in seconds. */
const STEP_SECONDS = 10;
/** How long a pod that leaves has, in seconds: a worker finishes its command first, which NoETL cuts off after 180. */
const LEAVING_SECONDS = 200;

/** The inputs, and what a refresh found; no program gives `drift`, so that the next update removes it. */
type UsersState = UsersInputs & { readonly drift?: readonly string[] };

const INPUTS = [
  "step",
  "namespace",
  "secretName",
  "extraUsers",
  "kubeconfig",
  "context",
  "timeoutSeconds",
  "clients",
] as const;

/** Fills in the login's name, and refuses passwords that NATS' clients cannot use. */
export function check(olds: object, news: object): pulumi.dynamic.CheckResult<UsersInputs> {
  const { user, password, extraUsers = [] } = news as Login & { extraUsers?: readonly ExtraUser[] };
  const plain = given(INPUTS, news);
  const named = namesOf(olds, listed(extraUsers), user);
  const before = listed((olds as Partial<UsersInputs>).extraUsers ?? []).map((each) => each.user);
  const past = [...before, ...Object.values(named).flatMap(({ numbers }) => namesGiven(numbers))];
  const asked = { base: user, password };
  const names = listed(extraUsers).flatMap(({ user: base }) => [base, ...(named[base] ? [named[base].user] : [])]);
  // The login that `retire` is given has its name from `admit`.
  const naming = plain.step === "retire" ? { ...asked, user, numbers: {} } : nameLogin(olds, { ...asked, past }, names);
  const inputs = {
    ...plain,
    extraUsers,
    ...naming,
    ...(Object.keys(named).length > 0 ? { named } : {}),
  } as UsersInputs;
  const bad = declaredIn(inputs).filter(
    (login) =>
      login.password !== unknownValue && typeof login.password === "string" && credential(login.password) !== undefined,
  );
  const own = namesGiven((olds as Partial<UsersInputs>).numbers ?? {});
  const renamed = listed(extraUsers).filter(
    ({ user: name, rotates }) => !rotates && own.includes(name) && !before.includes(name),
  );
  if (renamed.length > 0) {
    const taken = renamed.map((each) => each.user).join(", ");
    return {
      inputs,
      failures: [
        {
          property: "",
          reason: `a further user is called ${taken}, as a login was that pods may still use; allowed: another name; for example ${taken}-own`,
        },
      ],
    };
  }
  if (bad.length === 0) return { inputs };
  const reason = `the password of ${bad.map((login) => login.user).join(", ")} cannot be used; allowed: letters, digits and . _ ~ -`;
  // A failure that names a property is printed with that property's value.
  return { inputs, failures: [{ property: "", reason }] };
}

/** A preview may not know them yet. */
const listed = (users: readonly ExtraUser[] | string): readonly ExtraUser[] => (typeof users === "string" ? [] : users);

/** The names of the users whose names change with their passwords, one after the other. */
function namesOf(olds: object, users: readonly ExtraUser[], main: string): NonNullable<UsersInputs["named"]> {
  const { extraUsers: before = [], named = {}, numbers: mains = {} } = olds as Partial<UsersInputs>;
  const taken = [main, ...users.map(({ user }) => user)];
  const names: Record<string, Pick<Naming, "user" | "numbers">> = {};
  for (const { user: base, password, rotates } of users) {
    if (!rotates) continue;
    const old = listed(before).find(({ user }) => user === base);
    // Whose user goes and comes back never gets a name again that an old pod may still use.
    const last = { ...named[base], ...(old === undefined ? {} : { base, password: old.password }) };
    const others = taken.filter((each) => each !== base);
    const past = [mains, ...Object.entries(named).map(([of, each]) => (of === base ? {} : each.numbers))].flatMap(
      (each) => namesGiven(each),
    );
    const { user, numbers } = nameLogin(last, { base, password, past }, others);
    names[base] = { user, numbers };
    taken.push(user);
  }
  return { ...Object.fromEntries(Object.entries(named).filter(([base]) => names[base] === undefined)), ...names };
}

/** The users that are to be there in the end. */
export function declaredIn({ user, password, extraUsers, named }: UsersInputs): Login[] {
  const others = listed(extraUsers).map(({ rotates, user: base, ...rest }): Login => ({
    user: rotates ? (named?.[base]?.user ?? base) : base,
    ...rest,
  }));
  return [{ user, password }, ...others];
}

/** The users are written again where an input differs, a refresh found a difference, or the Secret is not as it was left. */
export async function diff(_id: string, olds: object, news: object): Promise<pulumi.dynamic.DiffResult> {
  const [before, after] = [olds as Record<string, unknown>, news as Record<string, unknown>];
  const names = [...INPUTS, "base", "user", "password", "named", "drift", "__provider"];
  if (names.some((name) => !isDeepStrictEqual(before[name], after[name]))) return { changes: true };
  return liveChanges(async () => (await differences(olds as UsersInputs)).length > 0);
}

/** How the live Secret differs from what the step leaves behind. */
async function differences(inputs: UsersInputs): Promise<string[]> {
  const { namespace, secretName: name } = inputs;
  const access = await clusterAccess(connectionOf(inputs));
  const secret = await readSecret(access, { namespace, name, seconds: LOOK_SECONDS });
  return differencesOf(secret?.[USERS_FILE], declaredIn(inputs), inputs.step === "retire" ? "refused" : "allowed");
}

export async function create(inputs: object): Promise<pulumi.dynamic.CreateResult<UsersInputs>> {
  const outs = inputs as UsersInputs;
  await write(outs, []);
  return { id: `${outs.namespace}/${outs.secretName}/${outs.step}`, outs };
}

export async function update(
  _id: string,
  olds: object,
  news: object,
): Promise<pulumi.dynamic.UpdateResult<UsersInputs>> {
  await write(news as UsersInputs, declaredIn(olds as UsersInputs));
  return { outs: news as UsersInputs };
}

/** What is there now; a Secret that is gone or was changed by hand is a difference, which the next update removes. */
export async function read(id: string, properties: object): Promise<pulumi.dynamic.ReadResult> {
  const { drift: _drift, ...state } = properties as UsersState;
  const found = await differences(state);
  const live = found.length === 0 ? state : { ...state, drift: found };
  return { id, props: live, inputs: live };
}

/**
 * Writes the step's users, and waits until every server has them.
 *
 * @param before Whom the last run declared: pods log in with that, whatever has become of the Secret.
 * @throws ConnectError where the cluster cannot be asked, Error with what was waited for at the deadline.
 */
async function write(inputs: UsersInputs, before: readonly Login[]): Promise<void> {
  const access = await clusterAccess(connectionOf(inputs));
  const { namespace, secretName: name, step, clients = [] } = inputs;
  const text = (await readSecret(access, { namespace, name, seconds: STEP_SECONDS }))?.[USERS_FILE];
  const live = (text === undefined ? undefined : usersIn(text)) ?? before;
  const declared = declaredIn(inputs);
  const wanted = step === "admit" ? admitted(live, declared, before) : declared;
  const logins = step === "admit" ? declared : goneOf(declared, live, before);
  if (step === "retire" && logins.length > 0) await left(access, clients);
  if (usersText(wanted) !== text) {
    await applySecret(access, { namespace, name, data: { [USERS_FILE]: usersText(wanted) } }, STEP_SECONDS);
  }
  const deadline = new Deadline(inputs.timeoutSeconds * 1000);
  if (logins.length > 0) await reached(inputs, { access, logins, deadline });
}

/** Who must be refused in the end. Of whom the last run let in, one that was killed may have written what no server has read. */
export const goneOf = (declared: readonly Login[], live: readonly Login[], before: readonly Login[]): Login[] =>
  without([...live, ...without(before, live)], declared);

interface Waiting {
  readonly access: ClusterAccess;
  /** Logins that are to be accepted by step `admit`, refused by step `retire`. */
  readonly logins: readonly Login[];
  readonly deadline: Deadline;
}

async function podsOf(access: ClusterAccess, namespace: string): Promise<readonly Pod[]> {
  const what = `the Kubernetes API to list the pods of ${namespace}`;
  const list = (signal: AbortSignal) => listObjects(access, { kind: "pods", namespace }, signal);
  return (await within(STEP_SECONDS * 1000, what, list)).items;
}

/** Longer than the kubelet takes to say that a pod has ended whose time is over. One that is left after it went with its node. */
const LOST_MS = 30_000;

/** Whether a pod works and is about to end; Kubernetes dates its deletion to the end of its grace. */
export const isLeaving = (pod: Pod, now: number): boolean =>
  pod.metadata?.deletionTimestamp !== undefined &&
  isAlive(pod) &&
  !(Date.parse(pod.metadata.deletionTimestamp) + LOST_MS < now);

/** Waits until no pod is about to end any more: those that leave have the old logins. What takes longer is cut off. */
async function left(access: ClusterAccess, namespaces: readonly string[]): Promise<void> {
  const deadline = new Deadline(LEAVING_SECONDS * 1000);
  while (deadline.remaining() > 0) {
    const pods = await Promise.all([...new Set(namespaces)].map((namespace) => podsOf(access, namespace)));
    if (!pods.flat().some((pod) => isLeaving(pod, Date.now()))) return;
    await deadline.pause(1_000);
  }
}

/** Waits until every server that reads the Secret accepts, or refuses, the logins. */
async function reached(inputs: UsersInputs, { access, logins, deadline }: Waiting): Promise<void> {
  for (;;) {
    const servers = serversToAsk(await podsOf(access, inputs.namespace), inputs.secretName);
    const answers = await Promise.all(
      servers.flatMap((pod) => logins.map((login) => answerOf(inputs, { pod, login, deadline }))),
    );
    const late = answers.filter(({ answer }) => answer !== (inputs.step === "admit" ? "accepted" : "refused"));
    if (late.length === 0) return;
    if (deadline.remaining() === 0) {
      throw new Error(waitingWords(late, { ...inputs, waited: inSeconds(inputs.timeoutSeconds * 1000) }));
    }
    await deadline.pause(500);
  }
}

/** What a server says to a login. */
export interface Answer {
  readonly pod: string;
  readonly user: string;
  /** `accepted`, `refused`, or why it could not be asked. */
  readonly answer: string;
}

async function answerOf(
  inputs: UsersInputs,
  { pod, login, deadline }: { readonly pod: string; readonly login: Login; readonly deadline: Deadline },
): Promise<Answer> {
  const { user, password } = login;
  try {
    // The release may be about to change whether they have TLS.
    const asked = asServersAre(withDefaults({ connection: { ...connectionOf(inputs), pod }, user, password }));
    const session = await openSession(asked, new Deadline(deadline.step()));
    await session.close();
    return { pod, user, answer: "accepted" };
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    if (error.problem === "wrong-password") return { pod, user, answer: "refused" };
    // A pod that has gone is not in the next list.
    if (error.patience === "none") throw error;
    return { pod, user, answer: error.message };
  }
}
