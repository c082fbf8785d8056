import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseSettings } from "../../config/parse";
import { servicePlace } from "../../contract/service-host";
import { targetOf } from "../../commands/doctor/target";
import { kubernetesPlatform } from "../../stacks/platform";
import { value, withMocks } from "./ways-support";

/** Two labels, of which the second is not the name of a namespace. */
const OUTSIDE = ["nats.dev", "nats.com", "nats.de", "nats.local", "nats.internal", "nats.localhost", "127.1", "-a.b"];

describe("a host inside the cluster", () => {
  it.each([
    ["nats.messaging.svc", { service: "nats", namespace: "messaging" }],
    ["nats.messaging.svc.cluster.local", { service: "nats", namespace: "messaging" }],
    ["NATS.messaging.svc.corp.example.", { service: "nats", namespace: "messaging" }],
    ["nats.nats", { service: "nats", namespace: "nats" }],
    ["NATS.team-a", { service: "nats", namespace: "team-a" }],
    ["nats.dev.svc", { service: "nats", namespace: "dev" }],
    ["nats-0.nats-headless.messaging.svc", { pod: "nats-0", service: "nats-headless", namespace: "messaging" }],
  ])("is a Service: %s", (host, place) => {
    expect(servicePlace(host)).toEqual(place);
  });

  it.each(["nats.io", "nats", "10.0.0.7", "svc", "nats.svc", "nats.example.org", "a.b.svc-x", ...OUTSIDE])(
    "is not: %s",
    (host) => {
      expect(servicePlace(host)).toBeUndefined();
    },
  );

  it.each(["nats.messaging.svc", "nats.messaging"])(
    "is asked through the cluster by verify and doctor: %s",
    (natsHost) => {
      const config = {
        deployNats: "false",
        natsHost,
        natsPort: "4333",
        natsPassword: "secret-Pass.1",
      };
      const { nats } = targetOf("dev", { config: { ...config, kubeContext: "kind-noetl" }, outputs: {} });
      const place = { service: "nats", namespace: "messaging", port: 4333, context: "kind-noetl" };
      // Nobody knows of a nats-box there.
      expect(nats.connection).toEqual({ ...place, natsCommand: "npm run nats -- --stack dev" });
      const outside = targetOf("dev", { config: { ...config, natsHost: "nats.example.org" }, outputs: {} });
      expect(outside.nats.connection).toEqual({ servers: ["nats.example.org:4333"] });
    },
  );
});

describe("the ambient kubeconfig of a stack", () => {
  const before = process.env.KUBECONFIG;
  let dir: string;
  beforeEach(async () => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), "ways-"));
    await withMocks();
  });
  afterEach(() => {
    if (before === undefined) delete process.env.KUBECONFIG;
    else process.env.KUBECONFIG = before;
    fs.rmSync(dir, { recursive: true, force: true });
  });

  const file = (name: string, content: object): string => {
    const at = path.join(dir, name);
    fs.writeFileSync(at, JSON.stringify(content));
    return at;
  };
  const whole = (name: string): object => ({
    clusters: [{ name, cluster: { server: `https://${name}` } }],
    users: [{ name, user: { token: "t" } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
  });

  it("in several files gives the provider the one with the context", () => {
    const [one, two] = [file("one", { ...whole("a"), "current-context": "b" }), file("two", whole("b"))];
    process.env.KUBECONFIG = [one, two].join(path.delimiter);
    expect(kubernetesPlatform(parseSettings({})).access).toEqual({ kubeconfig: two, context: "b" });
    expect(kubernetesPlatform(parseSettings({ kubeContext: "a" })).access).toEqual({ kubeconfig: one, context: "a" });
  });

  it("is merged, as a secret, where the context's parts stand in several", async () => {
    const { contexts, ...rest } = whole("a") as { contexts: object[] };
    process.env.KUBECONFIG = [file("one", { contexts, "current-context": "a" }), file("two", rest)].join(
      path.delimiter,
    );
    const { kubeconfig, context } = kubernetesPlatform(parseSettings({})).access;
    const { text, secret } = await value(kubeconfig);
    expect(secret).toBe(true);
    expect(JSON.parse(text)).toMatchObject({ "current-context": "a", ...whole("a") });
    expect(context).toBe("a");
  });

  it("in one file is left to the provider, and one without the context is refused in one sentence", () => {
    process.env.KUBECONFIG = file("one", whole("a"));
    expect(kubernetesPlatform(parseSettings({})).access).toEqual({});
    process.env.KUBECONFIG = [file("one", whole("a")), file("two", whole("b"))].join(path.delimiter);
    expect(() => kubernetesPlatform(parseSettings({ kubeContext: "c" }))).toThrow("has no context c; it has a, b");
  });
});
