/** What a Python process of the chart noetl prints and writes, its environment full of credentials. */
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { chartFolder } from "./helm";

const FILES = path.join(chartFolder("noetl"), "files");
const CREDENTIALS = {
  NATS_URL: "nats://noetl:canary-nats.1@nats:4222,nats://noetl:canary-nats.1@nats2:4222",
  NATS_PASSWORD: "canary-nats.1",
  NOETL_PASSWORD: 'canary-"d\u00e4tabase" 2',
  NOETL_ENCRYPTION_KEY: "canary/key+3==",
  SOME_TOKEN: "canarytoken",
  NATS_USER: "noetl",
};

let folder: string;
beforeEach(() => (folder = fs.mkdtempSync(path.join(os.tmpdir(), "noetl-nats-python-"))));
afterEach(() => fs.rmSync(folder, { recursive: true }));

function python(lines: readonly string[], env: Record<string, string> = {}) {
  const script = ["import json, logging, os, sys, urllib.parse", "env = os.environ", ...lines].join("\n");
  const ended = spawnSync("python3", ["-c", script], {
    cwd: folder,
    env: { PATH: process.env.PATH, PYTHONPATH: FILES, PYTHONIOENCODING: "utf-8", ...CREDENTIALS, ...env },
    encoding: "utf8",
    timeout: 60_000,
  });
  return { code: ended.status, output: ended.stdout + ended.stderr };
}

const NAMES = Object.keys(CREDENTIALS).filter((name) => name !== "NATS_USER");

describe("no credential leaves the process", () => {
  it.each<[string, string[]]>([
    [
      "by a log",
      [
        "logging.basicConfig(level='INFO')",
        "for n in NAMES: logging.info('value %s | NATS=%s', env[n], env['NATS_URL'])",
      ],
    ],
    ["by a log of JSON", ["for n in NAMES: print(json.dumps({'message': env[n]}), file=sys.stderr)"]],
    ["by a URL", ["for n in NAMES: print('x?a=' + urllib.parse.quote(env[n], safe=''))"]],
    ["by what ends without a line feed", ["for n in NAMES: print(env[n], end='')"]],
    ["in two pieces", ["for n in NAMES:\n  for c in env[n]: sys.stdout.write(c)"]],
    ["in bytes", ["for n in NAMES: sys.stdout.buffer.write(env[n].encode())"]],
    ["by the error that ends it", ["raise ValueError([env[n] for n in NAMES], env['NATS_URL'])"]],
    [
      "by a process that it starts",
      ["import subprocess", "subprocess.run([sys.executable, '-c', 'import os; print(dict(os.environ))'])"],
    ],
  ])("%s", (_, lines) => {
    const { output } = python([`NAMES = ${JSON.stringify(NAMES)}`, ...lines]);
    expect(output).toContain("***");
    expect(output).not.toMatch(/canary/);
  });

  it("by the file that a worker writes about itself, or a log in a file", () => {
    const { code, output } = python([
      "for name in ('worker_config.txt', 'a.log'):",
      "  with open(os.path.join(os.getcwd(), name), 'w') as f: f.write('NATS URL: ' + env['NATS_URL'] + '\\n'); f.flush()",
    ]);
    expect({ code, output }).toEqual({ code: 0, output: "" });
    for (const name of ["worker_config.txt", "a.log"])
      expect(fs.readFileSync(path.join(folder, name), "utf8")).toMatch(/^NATS URL: nats:\/\/noetl:\*\*\*@nats:4222/);
  });
});

describe("everything else stays as it is", () => {
  it("what is printed, the name of a user, and files of a playbook", () => {
    const { code, output } = python([
      "print('noetl listens on 8082: \u00e4')",
      "open('data.txt', 'w').write(env['NATS_PASSWORD'])",
      "open('data.bin', 'wb').write(b'x\\0')",
      "print(open('data.txt').read() == env['NATS_PASSWORD'])",
    ]);
    expect({ code, output }).toEqual({ code: 0, output: "noetl listens on 8082: \u00e4\nTrue\n" });
  });

  it("an image's own module of this name, which is loaded as before", () => {
    fs.writeFileSync(path.join(folder, "sitecustomize.py"), "import builtins\nbuiltins.own = 'loaded'\n");
    const { output } = python(["print(own, env['NATS_URL'])"], { PYTHONPATH: `${FILES}:${folder}` });
    expect(output).toMatch(/^loaded nats:\/\/noetl:\*\*\*@/);
  });

  it("a process without a stdout starts, and one line says that its log is not kept", () => {
    const ended = spawnSync("sh", ["-c", 'python3 -c \'open("started", "w")\' >&-'], {
      cwd: folder,
      env: { PATH: process.env.PATH, PYTHONPATH: FILES, ...CREDENTIALS },
      encoding: "utf8",
    });
    expect(ended.status).toBe(0);
    expect(fs.existsSync(path.join(folder, "started"))).toBe(true);
    expect(ended.stderr.split("\n")).toEqual([expect.stringMatching(/^credentials are not kept out of this log/), ""]);
  });

  it("the time of a log: 20,000 lines cost less than 5 s of the processor", () => {
    const { output } = python([
      "import time",
      "os.dup2(os.open(os.devnull, os.O_WRONLY), 2)",
      "logging.basicConfig(level='INFO')",
      "begun = time.process_time()",
      "for i in range(20000): logging.info('Starting worker %s | NATS=%s', i, 'x')",
      "print(time.process_time() - begun)",
    ]);
    expect(Number(output)).toBeGreaterThan(0);
    expect(Number(output)).toBeLessThan(5);
  });
});

describe("answers of NATS", () => {
  /** Connects as NoETL does, to a client that says what it is given. */
  function connect(call: string, env: Record<string, string> = { NATS_INBOX_PREFIX: "_INBOX_own" }): unknown {
    const client = path.join(folder, "nats", "aio");
    fs.mkdirSync(client, { recursive: true });
    for (const file of ["../__init__.py", "__init__.py"]) fs.writeFileSync(path.join(client, file), "");
    const given = ["class Client:", "    async def connect(self, servers='nats://localhost', **options):"];
    fs.writeFileSync(path.join(client, "client.py"), [...given, "        return servers, options"].join("\n"));
    const lines = [
      "import asyncio",
      "from nats.aio.client import Client",
      `found = asyncio.run(Client().connect(${call}))`,
    ];
    const { code, output } = python([...lines, "print(json.dumps(found))"], {
      PYTHONPATH: `${FILES}:${folder}`,
      ...env,
    });
    expect({ code, output }).toMatchObject({ code: 0 });
    return JSON.parse(output);
  }
  const OWN = "nats://noetl:***@nats:4222";
  const PING = { ping_interval: 10 };

  it("are heard below the prefix, by the pod's own login", () => {
    const expected = { ...PING, inbox_prefix: "_INBOX_own" };
    expect(connect("'nats://noetl:x@nats:4222'")).toEqual([OWN, expected]);
    expect(connect("servers=['nats://noetl:x@nats:4222'], name='n'")).toEqual([[OWN], { name: "n", ...expected }]);
    expect(connect("servers=['nats://nats:4222'], user='noetl'")).toEqual([
      ["nats://nats:4222"],
      { user: "noetl", ...expected },
    ]);
  });

  it("are heard as ever by everybody else, and where no prefix is set", () => {
    expect(connect("'nats://playbook:x@nats:4222'")).toEqual(["nats://playbook:***@nats:4222", PING]);
    expect(connect("'nats://noetl:x@nats:4222', user='playbook'")).toEqual([OWN, { user: "playbook", ...PING }]);
    expect(connect("'nats://elsewhere:4222'")).toEqual(["nats://elsewhere:4222", PING]);
    expect(connect("")).toEqual(["nats://localhost", PING]);
    expect(connect("'nats://noetl:x@nats:4222', inbox_prefix='_P'")).toEqual([OWN, { inbox_prefix: "_P", ...PING }]);
    expect(connect("'nats://noetl:x@nats:4222'", {})).toEqual([OWN, PING]);
  });

  it("are waited for as long as whoever connects says", () => {
    expect(connect("'nats://elsewhere:4222', ping_interval=60")).toEqual([
      "nats://elsewhere:4222",
      { ping_interval: 60 },
    ]);
  });
});
