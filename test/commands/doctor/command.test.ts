import * as fs from "node:fs";
import * as path from "node:path";
import { PassThrough } from "node:stream";
import { describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../contract/project";
import { COMMON, parse, usage, wrap, type Command } from "../../../commands/shared/arguments";
import { CommandError, EXIT } from "../../../commands/shared/exit";
import { masker } from "../../../contract/mask";
import { ask, tellingOfDelay } from "../../../commands/shared/run";
import { contractInputs, expectedNatsUrl, targetOf } from "../../../commands/doctor/target";

const does = "Goes through the verification checklist of a deployed stack and shows what was found.";
const command: Command = { name: "verify", does, options: COMMON };

function refusal(argv: readonly string[]): CommandError {
  try {
    parse(command, argv);
  } catch (error) {
    return error as CommandError;
  }
  throw new Error(`${argv.join(" ")} was accepted`);
}

describe("command line", () => {
  it("takes a stack and flags", () => {
    expect({ ...parse(command, ["--stack", "kind", "--json"]) }).toEqual({ stack: "kind", json: true });
  });

  it.each([[[]], [["--stak", "kind"]], [["--stack"]], [["kind"]], [["--json=yes", "--stack", "kind"]]])(
    "refuses %j with the usage and exit code 2",
    (argv) => {
      const { message, exit } = refusal(argv);
      expect(EXIT[exit].code).toBe(2);
      expect(message).toContain("usage: npm run verify -- --stack NAME [options]");
    },
  );

  it("explains every option and exit code in 80 columns", () => {
    const text = usage(command);
    for (const option of Object.keys(COMMON)) expect(text).toContain(`--${option}`);
    for (const { code } of [EXIT.ok, EXIT.wrong, EXIT.usage, EXIT.unknown])
      expect(text).toMatch(RegExp(`^  ${code} `, "m"));
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  });

  it("is documented with the same exit codes", () => {
    const page = fs.readFileSync(path.join(projectRoot(), "docs", "exit-codes.md"), "utf8").replace(/ +/g, " ");
    for (const { code, verify, doctor, diff, embedded, kind } of Object.values(EXIT)) {
      expect(page).toContain(`| ${code} | ${verify} | ${doctor} | ${diff} | ${embedded} | ${kind} |`);
    }
  });
});

describe("a question", () => {
  /** What is made of the keys that somebody presses at a terminal. */
  async function answerTo(keys: string): Promise<{ answer: string; shown: string }> {
    const [input, output] = [new PassThrough(), Object.assign(new PassThrough(), { isTTY: true, columns: 80 })];
    const asking = ask("Go on? [y/N] ", input, output);
    input.write(keys);
    const answer = await asking;
    return { answer, shown: String(output.read()) };
  }

  it("takes what is typed", async () => {
    const { answer, shown } = await answerTo("yes\r");
    expect(answer).toBe("yes");
    expect(shown).toContain("Go on? [y/N] ");
  });

  it.each([
    ["Ctrl-C", "y\u0003"],
    ["Ctrl-D", "\u0004"],
  ])("is answered by nobody at %s", async (_, keys) => {
    expect((await answerTo(keys)).answer).toBe("");
  });
});

describe("wrap", () => {
  it("breaks at spaces, and a long word after punctuation, and loses nothing", () => {
    expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
    expect(wrap("nats://host.example:4222", 14)).toEqual(["nats://host.", "example:4222"]);
    expect(wrap("x".repeat(25), 10)).toEqual(["x".repeat(10), "x".repeat(10), "xxxxx"]);
  });
});

describe("mask", () => {
  it("hides known secrets, longest first, and the password of every URL", () => {
    const mask = masker(["tiger7tiger", "nats://noetl:tiger7tiger@nats:4222"]);
    expect(mask("pw tiger7tiger")).toBe("pw ***");
    expect(mask("nats://noetl:unknown-one@nats:4222/x")).toBe("nats://noetl:***@nats:4222/x");
  });

  it("leaves words alone that are a user's name or too short to be told from text", () => {
    const mask = masker(["noetl", "abc"], ["noetl"]);
    expect(mask("noetl-worker abc, nats://noetl:noetl@nats:4222")).toBe("noetl-worker abc, nats://noetl:***@nats:4222");
  });
});

describe("target", () => {
  it("takes outputs before settings, and defaults for the rest", () => {
    const target = targetOf("kind", {
      config: { kubeContext: "kind-noetl", natsPassword: "old-one", deployGateway: "true", gatewayImage: "g:1" },
      outputs: { natsPassword: "new-one", natsHost: "nats.nats.svc.cluster.local", namespaces: { noetl: "apps" } },
    });
    expect(target.cluster).toEqual({ context: "kind-noetl" });
    expect(target.namespaces).toEqual({ nats: "nats", postgres: "postgres", noetl: "apps", gateway: "gateway" });
    expect(expectedNatsUrl(target, "worker")).toBe("nats://noetl:new-one@nats.nats.svc.cluster.local:4222");
    expect(target.missingOutputs).toEqual(["serverUrl", "contract", "gatewayUrl"]);
    expect([...target.secrets].sort()).toEqual(["new-one", "old-one"]);
    expect(contractInputs(target, 5)).toMatchObject({
      connection: { context: "kind-noetl", namespace: "nats", service: "nats", port: 4222 },
      user: "noetl",
      password: "new-one",
      noetl: { namespace: "apps" },
    });
  });

  it("knows the login of each part, where each has one of its own", () => {
    const config = { natsUsers: "each", deployGateway: "true", gatewayImage: "g:v1" };
    const login = (part: string) => ({ user: `noetl-${part}-2`, password: `${part}-password` });
    const natsLogins = { server: login("server"), worker: login("worker"), gateway: login("gateway") };
    const outputs = { natsUser: "noetl", natsPassword: "all-of-it", natsHost: "nats.nats", natsPort: 4222 };
    const target = targetOf("each", { config, outputs: { ...outputs, natsLogins } });
    expect(expectedNatsUrl(target, "worker")).toBe("nats://noetl-worker-2:worker-password@nats.nats:4222");
    expect([...target.secrets].sort()).toEqual(["all-of-it", "gateway-password", "server-password", "worker-password"]);
    expect(contractInputs(target, 5)).toMatchObject({
      user: "noetl",
      noetlLogin: { ...login("server"), worker: login("worker") },
      gateway: login("gateway"),
    });
    // Before the first update with users of their own nobody knows what they have.
    expect(expectedNatsUrl(targetOf("each", { config, outputs }), "worker")).toBeUndefined();
  });

  it("knows a stack that has never been deployed", () => {
    const target = targetOf("fresh", { config: {}, outputs: {} });
    expect(target.nats.password).toBeUndefined();
    expect(expectedNatsUrl(target, "worker")).toBeUndefined();
    expect(contractInputs(target, 5).user).toBeUndefined();
  });

  it("asks a NATS server outside the cluster directly", () => {
    const target = targetOf("shared", {
      config: { deployNats: "false", natsHost: "nats.example.com", natsPassword: "abcdef" },
      outputs: {},
    });
    expect(contractInputs(target, 5).connection).toEqual({ servers: ["nats.example.com:4222"] });
    expect(target.namespaces.nats).toBeUndefined();
  });

  it("prefers the kubeconfig that the stack puts out", () => {
    const target = targetOf("gke", { config: { kubeconfig: "~/.kube/config" }, outputs: { kubeconfig: '{"kind":1}' } });
    expect(target.cluster.kubeconfig).toBe('{"kind":1}');
  });

  it("goes on with a configuration that is wrong, and keeps why", () => {
    const target = targetOf("typo", { config: { natsPort: "x", kubeContext: "kind-noetl" }, outputs: {} });
    expect(target.configProblem).toContain("natsPort");
    expect(target.cluster.context).toBe("kind-noetl");
  });
});

describe("a command that asks", () => {
  it("says what it waits for where that takes long, and nothing else", async () => {
    vi.useFakeTimers();
    try {
      const said: string[] = [];
      const out = { write: (text: string) => said.push(text) };
      const slow = tellingOfDelay(new Promise((resolve) => setTimeout(() => resolve("slow"), 4_000)), out);
      const quick = tellingOfDelay(Promise.resolve("quick"), out);
      await vi.advanceTimersByTimeAsync(5_000);
      expect([await slow, await quick]).toEqual(["slow", "quick"]);
      expect(said).toEqual([expect.stringContaining("Still asking")]);
    } finally {
      vi.useRealTimers();
    }
  });
});
