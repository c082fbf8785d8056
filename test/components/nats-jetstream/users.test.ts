import * as http from "node:http";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import {
  admitted,
  differencesOf,
  type Login,
  nameLogin,
  type Naming,
  usersIn,
  usersText,
  without,
} from "../../../contract/nats/users";
import {
  check,
  declaredIn,
  goneOf,
  isLeaving,
  update,
  type UsersInputs,
} from "../../../components/nats-jetstream/users/provider";
import { serversToAsk, waitingWords } from "../../../components/nats-jetstream/users/servers";

const permissions = { publish: ["$JS.API.>"], subscribe: { allow: ["_INBOX.>"] } };
const first = { user: "noetl", password: "first" };
const second = { user: "noetl-2", password: "7k" };
const guard = { user: "guard", password: "true", permissions };

describe("the file of users", () => {
  it("holds every user in double quotes, and is read back", () => {
    const text = usersText([first, second, guard]);
    expect(text).toBe(
      'users: [\n  {"user":"noetl","password":"first"},\n  {"user":"noetl-2","password":"7k"},\n' +
        `  {"user":"guard","password":"true","permissions":${JSON.stringify(permissions)}}\n]\n`,
    );
    expect(usersIn(text)).toEqual([first, second, guard]);
  });

  it.each(["", "users: []", 'users: [\n  {"user":1}\n]\n', "users: [\n  {user: noetl}\n]\n", "authorization {}"])(
    "is not taken for one where somebody wrote another: %j",
    (text) => expect(usersIn(text)).toBeUndefined(),
  );

  it("differs where a user is missing, another, or one too many, and no difference names a password", () => {
    const live = usersText([{ ...first, password: "by-hand" }, second]);
    expect(differencesOf(live, [first, guard], "allowed")).toEqual([
      "user noetl has another password",
      "user guard is missing",
    ]);
    expect(differencesOf(live, [{ ...first, password: "by-hand" }], "refused")).toEqual([
      "user noetl-2 is let in, too",
    ]);
    expect(differencesOf(usersText([guard]), [{ ...guard, permissions: {} }], "refused")).toEqual([
      "user guard has other permissions",
    ]);
    expect(differencesOf(undefined, [first], "allowed")).toEqual(["the Secret is gone"]);
    expect(differencesOf("users: []", [first], "allowed")).toEqual(["users.conf is not as it was written"]);
    expect(differencesOf(usersText([guard, first]), [first, guard], "refused")).toEqual([]);
  });
});

describe("a change in two steps", () => {
  it("lets old and new in, then the new one alone", () => {
    const moving = admitted([first, guard], [second, guard]);
    expect(moving).toEqual([second, guard, first]);
    expect(without(moving, [second, guard])).toEqual([first]);
  });

  it("keeps whoever is let in, however often it was interrupted", () => {
    const third = { user: "noetl-3", password: "third" };
    expect(admitted(admitted([first], [second]), [third])).toEqual([third, second, first]);
    expect(admitted(admitted([first], [second]), [second])).toEqual([second, first]);
  });

  it("has one user of a name: of the same name, the new password is valid alone", () => {
    expect(admitted([first, guard], [first, { ...guard, password: "other" }])).toEqual([
      first,
      { ...guard, password: "other" },
    ]);
  });
});

describe("the name of a login", () => {
  /** The names of one password after the other. */
  const names = (...asked: Pick<Naming, "base" | "password">[]) => {
    let before: Partial<Naming> = {};
    return asked.map((each) => (before = nameLogin(before, each)).user);
  };
  const noetl = (password: string) => ({ base: "noetl", password });

  it("is the one that is asked for, and the next for each other password", () => {
    expect(names(noetl("a"), noetl("a"), noetl("b"), noetl("b"), noetl("a"))).toEqual([
      "noetl",
      "noetl",
      "noetl-2",
      "noetl-2",
      "noetl-3",
    ]);
  });

  it("is never given twice where the user that is asked for comes back", () => {
    expect(names(noetl("a"), { base: "bob", password: "a" }, noetl("c"))).toEqual(["noetl", "bob", "noetl-2"]);
  });

  it("is never one that was asked for as it is, nor the other way round", () => {
    const second = { base: "noetl-2", password: "x" };
    expect(names(noetl("a"), second, noetl("b"))).toEqual(["noetl", "noetl-2", "noetl-3"]);
    expect(names(noetl("a"), noetl("b"), second)).toEqual(["noetl", "noetl-2", "noetl-2-2"]);
  });

  it("is no further user's of before, nor does a further user take one that a login had", () => {
    const update = (state: object, user: string, ...extra: string[]) =>
      check(state, {
        step: "admit",
        user,
        password: `p-${user}`,
        extraUsers: extra.map((each) => ({ user: each, password: `e-${each}` })),
        namespace: "n",
        secretName: "s",
      });
    const before = update({}, "noetl", "shop").inputs;
    expect(update(before ?? {}, "shop").inputs?.user).toBe("shop-2");
    const guards = update(update({}, "contract-guard").inputs ?? {}, "noetl", "contract-guard");
    expect(guards.failures?.map(({ reason }) => reason)).toEqual([
      "a further user is called contract-guard, as a login was that pods may still use; allowed: another name; for example contract-guard-own",
    ]);
    // Whoever has been there goes on.
    expect(update(before ?? {}, "noetl", "shop").failures).toBeUndefined();
  });

  it("lets every pod in, however often a change is killed, another one begun, or the Secret edited by hand", () => {
    const roles = ["noetl-server", "noetl-worker", "noetl-gateway"];
    const update = fc.record({
      password: fc.integer({ min: 0, max: 3 }),
      revision: fc.integer({ min: 0, max: 3 }),
      user: fc.constantFrom("noetl", "bob", "noetl-2", "noetl-worker", "noetl-worker-2"),
      /** Whether each part has a user of its own, which none may be natsUser then. */
      isEach: fc.boolean(),
      /** Steps that are done: the Secret, the engine's state, a part after the other, the end. */
      done: fc.integer({ min: 0, max: 7 }),
    });
    type Update = typeof update extends fc.Arbitrary<infer T> ? T : never;
    const killed = (updates: readonly Update[], edited: boolean) => {
      let state: object = {};
      let secret: Login[] = [];
      let before: Login[] = [];
      const pods = new Map<string, Login>();
      for (const [at, { password, revision, user: wanted, isEach, done }] of updates.entries()) {
        const user = isEach && roles.includes(wanted) ? "noetl" : wanted;
        const extraUsers = (isEach ? roles : []).map((role) => ({
          user: role,
          password: `r${revision}`,
          rotates: true,
        }));
        const asked = { step: "admit", user, password: `p${password}`, extraUsers, namespace: "n", secretName: "s" };
        const inputs = check(state, asked).inputs as UsersInputs;
        const logins = declaredIn(inputs);
        const [main = { user: "", password: "" }, ...others] = logins;
        // By hand somebody locks everybody out whom the last update has left.
        const isEdited = edited && at === updates.length - 1;
        if (isEdited) secret = secret.slice(1).map((login) => ({ ...login, password: "by-hand" }));
        if (done > 0) secret = admitted(secret, logins, before);
        if (done > 1) [state, before] = [inputs, logins];
        for (const [index, role] of ["noetl", ...roles].entries()) {
          if (done > 2 + index) pods.set(role, (index === 0 ? undefined : others[index - 1]) ?? main);
        }
        if (done > 6) secret = logins;
        if (isEdited && (done === 0 || updates[at - 1]?.done !== 7)) return;
        for (const login of pods.values()) expect(secret).toContainEqual(login);
      }
    };
    const updates = fc.array(update, { minLength: 1, maxLength: 9 });
    fc.assert(fc.property(updates, fc.boolean(), killed), { numRuns: 1_000, seed: 14 });
  });

  it("is never that of another user", () => {
    expect(nameLogin({}, noetl("a"), ["noetl", "noetl-2"]).user).toBe("noetl-3");
    const before = nameLogin({}, noetl("a"));
    expect(nameLogin(before, noetl("b"), ["noetl-2"]).user).toBe("noetl-3");
    expect(nameLogin(before, noetl("a"), ["noetl"]).user).toBe("noetl-2");
  });

  it("comes from what the state holds, and step retire takes it as it is", () => {
    const given = { step: "admit", user: "noetl", password: "a", namespace: "nats", secretName: "nats-users" };
    const made = check({}, given).inputs ?? {};
    expect(made).toMatchObject({ base: "noetl", user: "noetl", numbers: { noetl: 1 }, extraUsers: [] });
    const changed = check(made, { ...given, password: "b" }).inputs;
    expect(changed).toMatchObject({ base: "noetl", user: "noetl-2", numbers: { noetl: 2 } });
    expect(check({}, { ...given, step: "retire", user: "noetl-2" }).inputs).toMatchObject({ user: "noetl-2" });
  });

  it("is found for each further user whose names change, and stays for the others", () => {
    const users = (server: string, worker: string) => [
      { user: "noetl-server", password: server, permissions, rotates: true },
      { user: "noetl-worker", password: worker, rotates: true },
      { user: "guard", password: "g" },
    ];
    const given = { step: "admit", user: "noetl", password: "a", namespace: "nats", secretName: "nats-users" };
    const namesOf = (inputs: object | undefined) => {
      const { named = {} } = inputs as { named?: Record<string, { user: string }> };
      return Object.values(named).map(({ user }) => user);
    };
    let state: object | undefined = check({}, { ...given, extraUsers: users("1", "1") }).inputs;
    expect(namesOf(state)).toEqual(["noetl-server", "noetl-worker"]);
    state = check(state ?? {}, { ...given, extraUsers: users("2", "1") }).inputs;
    expect(namesOf(state)).toEqual(["noetl-server-2", "noetl-worker"]);
    expect(state).toMatchObject({ user: "noetl", numbers: { noetl: 1 } });
    // One login for all, and back again with the password of before: the name of a pod that may still run is not given again.
    state = check(state ?? {}, { ...given, extraUsers: users("2", "1").slice(2) }).inputs;
    state = check(state ?? {}, { ...given, extraUsers: users("2", "1") }).inputs;
    expect(namesOf(state)).toEqual(["noetl-server-3", "noetl-worker-2"]);
    // A stack of before has no names, and a preview that knows no passwords gives none.
    expect(check({}, { ...given, extraUsers: users("1", "1").slice(2) }).inputs).not.toHaveProperty("named");
    expect(check({}, { ...given, extraUsers: "unknown" }).inputs).not.toHaveProperty("named");
  });

  it("is not reached where a client could not use the password, which is not repeated", () => {
    const { failures } = check({}, { step: "admit", user: "noetl", password: "p@ss word" });
    expect(failures).toEqual([
      { property: "", reason: "the password of noetl cannot be used; allowed: letters, digits and . _ ~ -" },
    ]);
  });
});

describe("the logins that every server must refuse in the end", () => {
  it("are those that the file lets in, and those of the last update, which may have been killed after it wrote the file", () => {
    expect(goneOf([second, guard], [second, guard, first], [first, guard])).toEqual([first]);
    expect(goneOf([second, guard], [second, guard], [first, guard])).toEqual([first]);
    expect(goneOf([second, guard], [second, guard], [second, guard])).toEqual([]);
  });
});

describe("the servers that must have read the file", () => {
  const pod = (name: string, ready: boolean, secret = "nats-users") => ({
    metadata: { name },
    spec: { volumes: [{}, { secret: { secretName: secret } }] },
    status: { conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
  });

  it("are those that mount it, one that is not ready included", () => {
    expect(serversToAsk([pod("nats-1", false), pod("nats-0", true), pod("x", true, "other")], "nats-users")).toEqual([
      "nats-0",
      "nats-1",
    ]);
  });

  it("are none where none is ready, none mounts it, or all are about to go", () => {
    expect(serversToAsk([], "nats-users")).toEqual([]);
    expect(serversToAsk([pod("nats-0", false)], "nats-users")).toEqual([]);
    expect(serversToAsk([pod("nats-0", true, "old")], "nats-users")).toEqual([]);
    const going = { ...pod("nats-0", true), metadata: { name: "nats-0", deletionTimestamp: "2026-03-02T10:00:00Z" } };
    expect(serversToAsk([going], "nats-users")).toEqual([]);
  });

  it("are named at the deadline, with what was waited for and where to look", () => {
    const around = {
      namespace: "nats",
      secretName: "nats-users",
      waited: "240 s",
      kubeconfig: "/my files/kubeconfig",
      context: "prod",
    };
    const late = [
      { pod: "nats-0", user: "noetl-2", answer: "refused" },
      { pod: "nats-1", user: "noetl-2", answer: "no pod is ready" },
    ];
    expect(waitingWords(late, { ...around, step: "admit" })).toMatch(
      /waited 240 s for every server .* to accept .* nats-0 still refuses user noetl-2; nats-1 could not be asked about user noetl-2 \(no pod is ready\)\..*kubectl --kubeconfig '\/my files\/kubeconfig' --context prod logs -n nats nats-0 -c reloader.*`pulumi up` goes on/,
    );
    const old = [{ pod: "nats-0", user: "noetl", answer: "accepted" }];
    expect(waitingWords(old, { ...around, step: "retire" })).toMatch(/to refuse .* nats-0 still accepts user noetl\./);
  });
});

describe("a Secret that is not as the last update left it", () => {
  const cleanups: (() => void)[] = [];
  afterEach(() => cleanups.splice(0).forEach((cleanup) => cleanup()));

  /** An API server with this Secret alone, and without a pod but those that leave, which are asked for by namespace. */
  async function secretOf(
    text: string | undefined,
    leaving: (namespace: string) => boolean = () => false,
  ): Promise<{ kubeconfig: string; text: () => string | undefined }> {
    let held = text;
    const encoded = (value: string) => Buffer.from(value).toString("base64");
    const server = http.createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        const [, namespace] = /namespaces\/(\w+)\/pods$/.exec(request.url ?? "") ?? [];
        if (namespace !== undefined) {
          const pods = [{ metadata: { name: "stays" } }, { metadata: { name: "leaves", deletionTimestamp: "now" } }];
          return response.end(JSON.stringify({ items: leaving(namespace) ? pods : pods.slice(0, 1) }));
        }
        if (request.method === "PATCH") {
          const { data } = JSON.parse(body) as { data: Record<string, string> };
          held = Buffer.from(data["users.conf"] ?? "", "base64").toString();
        }
        const found = held === undefined ? {} : { data: { "users.conf": encoded(held) } };
        response.writeHead(held === undefined ? 404 : 200).end(JSON.stringify(found));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanups.push(() => {
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    const kubeconfig = JSON.stringify({
      "current-context": "c",
      clusters: [{ name: "c", cluster: { server: `http://127.0.0.1:${port}` } }],
      users: [{ name: "u", user: { token: "t" } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    });
    return { kubeconfig, text: () => held };
  }

  const given = { step: "admit", user: "noetl", password: "first", namespace: "nats", secretName: "nats-users" };
  const guarded = { ...given, extraUsers: [guard], timeoutSeconds: 5 };

  it.each([
    ["torn", usersText([first, guard]).slice(0, 40)],
    ["empty", ""],
    ["gone", undefined],
    ["written by hand", "users: [ {user: noetl, password: first} ]"],
    ["with another password", usersText([{ ...first, password: "by-hand" }, guard])],
    ["without its user", usersText([guard])],
  ])("%s: whoever was let in last stays while pods move to a new password", async (_what, text) => {
    const { kubeconfig, text: written } = await secretOf(text);
    const before = check({}, { ...guarded, kubeconfig }).inputs as UsersInputs;
    const after = check(before, { ...guarded, kubeconfig, password: "7k" }).inputs as UsersInputs;
    await update("id", before, after);
    expect(usersIn(written() ?? "")).toEqual([second, guard, first]);
    // The second step lets the new ones in alone.
    const retired = check({}, { ...guarded, kubeconfig, step: "retire", user: "noetl-2", password: "7k" }).inputs;
    await update("id", { ...before, step: "retire" }, retired as UsersInputs);
    expect(usersIn(written() ?? "")).toEqual([second, guard]);
  });

  it("keeps the old logins until the pods that leave are gone, which may have a command in hand", async () => {
    const asked: string[] = [];
    const seen: (string | undefined)[] = [];
    const { kubeconfig, text } = await secretOf(usersText([second, first]), (namespace) => {
      asked.push(namespace);
      seen.push(text());
      return namespace === "noetl" && asked.filter((each) => each === "noetl").length < 3;
    });
    const settled = { ...given, kubeconfig, step: "retire", timeoutSeconds: 5, clients: ["noetl", "gateway", "noetl"] };
    const before = check({}, settled).inputs as UsersInputs;
    const after = check(before, { ...settled, user: "noetl-2", password: "7k" }).inputs as UsersInputs;
    await update("id", before, after);
    expect(asked.sort()).toEqual(["gateway", "gateway", "gateway", "nats", "noetl", "noetl", "noetl"]);
    expect(seen).toEqual([...Array<string>(6).fill(usersText([second, first])), usersText([second])]);
    // Where no login goes, nobody is waited for.
    await update("id", after, after);
    expect(asked).toHaveLength(7);
  });

  it.each([
    ["one that stays", {}, "Running", false],
    ["one that finishes its command", { deletionTimestamp: "2026-12-01T10:04:00Z" }, "Running", true],
    ["one whose time has just ended", { deletionTimestamp: "2026-12-01T09:59:50Z" }, "Running", true],
    ["one that is left since its node is lost", { deletionTimestamp: "2026-12-01T09:50:00Z" }, "Running", false],
    ["a Job's that something holds", { deletionTimestamp: "2026-12-01T10:04:00Z" }, "Succeeded", false],
  ])("of pods, %s", (_, metadata, phase, waits) => {
    expect(isLeaving({ metadata, status: { phase } }, Date.parse("2026-12-01T10:00:00Z"))).toBe(waits);
  });
});
