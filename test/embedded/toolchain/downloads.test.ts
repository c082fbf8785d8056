import { execFileSync } from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as http from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../contract/project";
import {
  allOf,
  cachedPath,
  ensureTools,
  obtainTools,
  TOOLS,
  type Tool,
  type ToolName,
} from "../../../embedded/toolchain";
import { downloadedPath, SILENCE_MS, slowerThanBuilding } from "../../../embedded/toolchain/downloads";
import { checksumIn, pinnedChecksum, thisPlatform } from "../../../embedded/toolchain/releases";

type Answer = (request: http.IncomingMessage, response: http.ServerResponse) => void;

const here = thisPlatform();
if (!here) throw new Error("the tools are published for Linux and macOS on amd64 and arm64 alone");

let dir: string;
let log: string[];
let server: http.Server;
let host: string;
let answers: Map<string, Answer>;
/** What was asked for: path, and range where there was one. */
let asked: string[];

beforeEach(async () => {
  dir = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-downloads-"));
  log = [];
  answers = new Map();
  asked = [];
  fs.mkdirSync(path.join(dir, "bin"));
  // Nothing but what the downloads need, so that the machine's own tools are out of sight.
  for (const name of ["sh", "cat", "curl", "tar", "gzip"])
    fs.symlinkSync(
      execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim(),
      path.join(dir, "bin", name),
    );
  server = http.createServer((request, response) => {
    asked.push([request.url, request.headers.range].filter(Boolean).join(" "));
    const answer = answers.get(request.url ?? "");
    if (answer) answer(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  vi.stubEnv("PATH", path.join(dir, "bin"));
  vi.stubEnv("NOETL_NATS_CACHE", path.join(dir, "cache"));
  vi.stubEnv("NOETL_NATS_DOWNLOADS", `http://${host}`);
  compiler("echo built > OUTPUT");
});

afterEach(async () => {
  vi.unstubAllEnvs();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  fs.rmSync(dir, { recursive: true });
});

/** Stands in for Go, whose modules are empty, and its compiler: as that one it writes where `-o` says, and then does `script`. */
function compiler(script: string): void {
  const text = `#!/bin/sh
case "$1" in version) exit 0;; mod) echo '{"Dir": "${dir}/no-module"}'; exit 0;; esac
while [ "$1" != -o ]; do shift; done
${script}
`;
  fs.writeFileSync(path.join(dir, "bin", "go"), text.replaceAll("OUTPUT", '"$2"'), { mode: 0o755 });
}

const say = (line: string): void => void log.push(line);
const published = (tool: Tool) => {
  const release = tool.published?.(tool.version, here);
  if (!release) throw new Error(`${tool.name} is not published`);
  return release;
};
const pathOf = (url: string): string => url.replace("https://", "/");
const send =
  (body: string | Buffer): Answer =>
  (_, response) =>
    void response.end(body);
const sum = (body: string | Buffer): string => crypto.createHash("sha256").update(body).digest("hex");

/** As large as a few packets, so that it can be cut off in the middle. */
const PROGRAM = `#!/bin/sh\necho "Kubernetes v1.34.4"\n${"# filling\n".repeat(50_000)}`;
const TOOL = TOOLS["kube-scheduler"];
const SCHEDULER = pathOf(published(TOOL).url);

/** Has the server offer `program` for kube-scheduler, with its checksum or with another one. */
function offer(answer: Answer, checksum = sum(PROGRAM)): void {
  answers.set(SCHEDULER, answer);
  answers.set(`${SCHEDULER}.sha256`, send(checksum));
}

const ensure = async (): Promise<string> => (await ensureTools(["kube-scheduler"], say))["kube-scheduler"];
const left = (): string[] => fs.readdirSync(path.join(dir, "cache", "toolchain"));
const folderOf = (file: string): string => path.basename(path.dirname(file));

async function expectBuilt(because: RegExp): Promise<void> {
  expect(await ensure()).toBe(cachedPath(TOOL));
  expect(fs.readFileSync(cachedPath(TOOL), "utf8")).toBe("built\n");
  expect(
    log.filter((line) => because.test(line)),
    log.join("\n"),
  ).toHaveLength(1);
}

describe("an official program", () => {
  it("is downloaded where its checksum is right, and nothing is built", async () => {
    offer(send(PROGRAM));
    compiler("exit 1");
    expect(await ensure()).toBe(downloadedPath(TOOL));
    expect(fs.readFileSync(downloadedPath(TOOL), "utf8")).toBe(PROGRAM);
    expect(left()).toEqual([folderOf(downloadedPath(TOOL))]);
    expect(log.at(-1)).toMatch(/^kube-scheduler v1\.34\.4: downloaded in \d+ s, with the right checksum$/);
    server.closeAllConnections();
    answers.clear();
    expect(await ensure()).toBe(downloadedPath(TOOL));
  });

  it("comes out of the project's archive, by the line of it among the project's checksums", async () => {
    const tool = TOOLS["nats-server"];
    const { url, checksums, member = "" } = published(tool);
    fs.mkdirSync(path.join(dir, "archive", path.dirname(member)), { recursive: true });
    fs.writeFileSync(path.join(dir, "archive", member), `#!/bin/sh\necho "nats-server: ${tool.version}"\n`);
    execFileSync("tar", ["-czf", path.join(dir, "a.tar.gz"), "-C", path.join(dir, "archive"), path.dirname(member)]);
    const archive = fs.readFileSync(path.join(dir, "a.tar.gz"));
    answers.set(pathOf(url), send(archive));
    const others = `${"0".repeat(64)}  other.tar.gz\n`;
    answers.set(pathOf(checksums), send(`${others}${sum(archive)} *${path.basename(url)}\n`));
    const found = await ensureTools(["nats-server"], say);
    expect(log).not.toContainEqual(expect.stringContaining("built"));
    expect(execFileSync(found["nats-server"], { encoding: "utf8" })).toBe(`nats-server: ${tool.version}\n`);
  });

  it.each<[string, Answer]>([
    ["answers with an error", (_, response) => void response.writeHead(403).end()],
    ["does not have it", (_, response) => void response.writeHead(404).end()],
  ])("is built instead where the server %s", async (_, answer) => {
    offer(answer);
    await expectBuilt(/^kube-scheduler v1\.34\.4: 127\.0\.0\.1:\d+ answered 40[34]; it is built instead$/);
  });

  it("is built instead where the answer is a page, and no checksum", async () => {
    offer(send("<html>Please log in</html>"), "<html>Please log in</html>");
    await expectBuilt(/sent no checksum of it; it is built instead$/);
  });

  it("that is of another version, or does not run here, is built instead", async () => {
    const other = "#!/bin/sh\necho Kubernetes v1.33.0\n";
    offer(send(other), sum(other));
    await expectBuilt(
      /^kube-scheduler v1\.34\.4: the official program cannot be used: it does not run here; it is built/,
    );
    expect(left()).toContain(folderOf(cachedPath(TOOL)));
    expect(left().filter((name) => name.includes("unpacking"))).toEqual([]);
  });
});

describe("published", () => {
  const at = (name: ToolName, os: "linux" | "darwin", arch: "amd64" | "arm64"): string | undefined => {
    const tool: Tool = TOOLS[name];
    return tool.published?.(tool.version, { os, arch })?.url;
  };

  it.each<[ToolName, "linux" | "darwin", "amd64" | "arm64", string | undefined]>([
    ["kube-apiserver", "linux", "arm64", "https://dl.k8s.io/release/v1.34.4/bin/linux/arm64/kube-apiserver"],
    ["kube-apiserver", "darwin", "arm64", undefined],
    ["kwok", "linux", "amd64", undefined],
    ["helm", "darwin", "amd64", "https://get.helm.sh/helm-v3.19.5-darwin-amd64.tar.gz"],
    ["pulumi", "linux", "amd64", "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-linux-x64.tar.gz"],
    ["pulumi", "darwin", "arm64", "https://get.pulumi.com/releases/sdk/pulumi-v3.259.0-darwin-arm64.tar.gz"],
    [
      "etcd",
      "darwin",
      "arm64",
      "https://github.com/etcd-io/etcd/releases/download/v3.6.4/etcd-v3.6.4-darwin-arm64.zip",
    ],
    [
      "nats-server-2.12",
      "linux",
      "amd64",
      "https://github.com/nats-io/nats-server/releases/download/v2.12.15/nats-server-v2.12.15-linux-amd64.tar.gz",
    ],
  ])("%s for %s on %s: %s", (name, os, arch, url) => {
    expect(at(name, os, arch)).toBe(url);
  });
});

describe("a checksum", () => {
  it("that is wrong has the file refused in one line, thrown away, and the tool built", async () => {
    offer(send(`${PROGRAM}# and more\n`));
    await expectBuilt(
      /^kube-scheduler v1\.34\.4: what 127\.0\.0\.1:\d+ sent has the wrong checksum and is refused; it is built instead$/,
    );
    expect(left()).toEqual([folderOf(cachedPath(TOOL))]);
  });

  it("that is pinned here is believed, and the one beside the file is not even asked for", async () => {
    const { url, checksums } = published(TOOLS.helm);
    answers.set(pathOf(url), send(PROGRAM));
    answers.set(pathOf(checksums), send(`${sum(PROGRAM)}  ${path.basename(url)}\n`));
    expect((await ensureTools(["helm"], say)).helm).toBe(cachedPath(TOOLS.helm));
    expect(log).toContainEqual(expect.stringMatching(/^helm v3\.19\.5: .* wrong checksum and is refused/));
    expect(asked).toEqual([pathOf(url)]);
  });

  it.each([
    [`${"a".repeat(64)}  x.tar.gz`, "a"],
    [`${"b".repeat(64)} *./x.tar.gz\n${"a".repeat(64)}  y`, "b"],
    ["A".repeat(64), "a"],
    [`${"a".repeat(64)}  y.tar.gz`, undefined],
    [`${"a".repeat(63)}  x.tar.gz`, undefined],
    ["<html></html>", undefined],
  ])("in %s", (list, letter) => {
    expect(checksumIn(list, "x.tar.gz")).toBe(letter?.repeat(64));
  });

  it("is pinned for nothing but what a tool of today publishes", () => {
    const text = fs.readFileSync(path.join(projectRoot(), "embedded", "toolchain", "checksums.txt"), "utf8");
    const files = Object.values<Tool>(TOOLS).flatMap((tool) =>
      (["linux", "darwin"] as const).flatMap((os) =>
        (["amd64", "arm64"] as const).map((arch) => tool.published?.(tool.version, { os, arch })?.url),
      ),
    );
    const names = files.map((url) => url && path.basename(url));
    const pinned = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    expect(pinned.length).toBeGreaterThan(0);
    for (const line of pinned) {
      const [hash, name = ""] = line.split("  ");
      expect(names).toContain(name);
      expect(pinnedChecksum(name)).toBe(hash);
    }
  });
});

/** Sends what is asked for up to `end`, and then ends the connection. */
const cutOffAt =
  (end: number, resumes: boolean): Answer =>
  (request, response) => {
    const from = resumes ? Number(/bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0) : 0;
    const range = { "content-range": `bytes ${from}-${PROGRAM.length - 1}/${PROGRAM.length}` };
    response.writeHead(from > 0 ? 206 : 200, { "content-length": PROGRAM.length - from, ...(from > 0 ? range : {}) });
    response.write(PROGRAM.slice(from, end), () => (end < PROGRAM.length ? response.destroy() : response.end()));
  };

describe("a download that is cut off", () => {
  const half = PROGRAM.length / 2;

  /** The whole from the second request on. */
  const onceCutOff = (resumes: boolean): Answer => {
    let count = 0;
    return (...exchange) => cutOffAt(count++ === 0 ? half : PROGRAM.length, resumes)(...exchange);
  };

  it("is continued where it was", async () => {
    offer(onceCutOff(true));
    expect(await ensure()).toBe(downloadedPath(TOOL));
    expect(asked.slice(1)).toEqual([SCHEDULER, expect.stringMatching(new RegExp(`^${SCHEDULER} bytes=[1-9]\\d*-$`))]);
  });

  it("begins again where the server cannot continue it", async () => {
    offer(onceCutOff(false));
    expect(await ensure()).toBe(downloadedPath(TOOL));
    expect(asked.at(-1)).toBe(SCHEDULER);
  });

  it("again and again is built instead, and the next run goes on from there", async () => {
    offer(cutOffAt(half, true));
    await expectBuilt(/^kube-scheduler v1\.34\.4: .*; it is built instead$/);
    fs.rmSync(path.dirname(cachedPath(TOOL)), { recursive: true });
    asked = [];
    offer(cutOffAt(PROGRAM.length, true));
    expect(await ensure()).toBe(downloadedPath(TOOL));
    expect(asked.at(-1)).toMatch(/ bytes=[1-9]\d*-$/);
    expect(left()).toEqual([folderOf(downloadedPath(TOOL))]);
  });

  it("by silence costs three seconds, and is built instead", async () => {
    offer((_, response) => {
      response.writeHead(200, { "content-length": PROGRAM.length });
      response.write(PROGRAM.slice(0, half));
    });
    await expectBuilt(/^kube-scheduler v1\.34\.4: 127\.0\.0\.1:\d+ fell silent in the middle; it is built instead$/);
  });
});

describe("a host that cannot be reached", () => {
  const NAMES = ["kube-scheduler", "etcd", "helm", "nats-server", "pulumi"] as const satisfies readonly ToolName[];
  const unreachable = /^Official downloads cannot be reached \(127\.0\.0\.1:\d+\), which took [\d.]+ s to find out\.$/;
  const lost = (): string[] => log.filter((line) => unreachable.test(line));

  it("that says nothing is waited for once, for three seconds, by all tools together", async () => {
    expect(SILENCE_MS).toBe(3000);
    const events: string[] = [];
    for (const name of NAMES)
      for (const url of [published(TOOLS[name]).url, published(TOOLS[name]).checksums])
        answers.set(pathOf(url), (_, response) => {
          events.push("asked");
          response.on("close", () => events.push("given up"));
        });
    await ensureTools(NAMES, say);
    expect(lost()).toHaveLength(1);
    // The host is asked by all before the first gives it up, and by none afterwards: there is one wait.
    const [requests, ends] = [
      events.filter((event) => event === "asked"),
      events.filter((event) => event === "given up"),
    ];
    expect(requests.length).toBeGreaterThan(1);
    expect(events).toEqual([...requests, ...ends]);
    asked = [];
    for (const name of NAMES) fs.rmSync(path.dirname(cachedPath(TOOLS[name])), { recursive: true });
    await ensureTools(NAMES, say);
    expect(asked).toEqual([]);
  });

  it("that refuses connections is not waited for", async () => {
    vi.stubEnv("NOETL_NATS_DOWNLOADS", "http://127.0.0.1:1");
    // Longer than this test may take: it ends, so that nothing waited for the host.
    await allOf(obtainTools(NAMES, { log: say, silenceMs: 3_600_000 }), NAMES);
    expect(lost()).toHaveLength(1);
    expect(log.filter((line) => /built in/.test(line)).map((line) => line.split(" ")[1])).toEqual([
      "nats-server",
      "kube-scheduler",
      "etcd",
      "helm",
      "pulumi",
    ]);
  });

  it("is reached by the proxy of the environment", async () => {
    vi.stubEnv("NOETL_NATS_DOWNLOADS", "http://mirror.invalid/tools");
    vi.stubEnv("http_proxy", `http://${host}`);
    const at = (suffix: string): string => `http://mirror.invalid/tools${SCHEDULER}${suffix}`;
    answers.set(at(""), send(PROGRAM));
    answers.set(at(".sha256"), send(sum(PROGRAM)));
    expect(await ensure()).toBe(downloadedPath(TOOL));
  });
});

describe("a slow download", () => {
  const at = (received: number, left: number, buildSeconds: number) => ({
    progress: { began: 0, received, left },
    tool: { buildSeconds },
  });

  it.each([
    ["would be there sooner than built", [at(10, 100, 100)], false],
    ["would be built sooner", [at(10, 1000, 100)], true],
    ["shares the network with others, which are nearly there", [at(1, 100, 90), at(90, 100, 90)], false],
    ["is there", [], false],
  ])("that %s", (_, coming, slower) => {
    // After ten seconds.
    expect(slowerThanBuilding(coming, 10_000)).toBe(slower);
  });

  it("is given up, and the tool built", async () => {
    const trickle = setInterval(() => response?.write("#".repeat(8192)), 100);
    let response: http.ServerResponse | undefined;
    offer((_, now) => {
      response = now.writeHead(200, { "content-length": 1e9 });
    });
    await expectBuilt(
      /^kube-scheduler .*: the download from 127\.0\.0\.1:\d+ would take longer than building; it is built/,
    );
    clearInterval(trickle);
  });
});

describe("NOETL_NATS_DOWNLOADS", () => {
  it("off asks nobody", async () => {
    vi.stubEnv("NOETL_NATS_DOWNLOADS", "off");
    expect(await ensure()).toBe(cachedPath(TOOL));
    expect(log[0]).toMatch(/^Building kube-scheduler /);
  });

  it("is refused where it is neither off nor a URL", async () => {
    vi.stubEnv("NOETL_NATS_DOWNLOADS", "no");
    await expect(ensure()).rejects.toThrow(
      'NOETL_NATS_DOWNLOADS is "no": it may be off, or the URL of a mirror, such as https://mirror.example/releases',
    );
  });
});
