/**
 * `npm run build`: compiles the sources into `dist`, unless what is there was compiled of exactly these.
 *
 * Compared is content, not time: after a pull, a switch of branches or a copy, times say nothing. A stamp in `dist` holds the
 * digest of all that the compiler reads (sources, its configuration, the installed packages) and that of all that it wrote.
 * Plain JavaScript, because it is what compiles the rest.
 */
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, "dist");
const stampFile = path.join(dist, ".stamp");
const CONFIG = "tsconfig.build.json";

/** Files below `place`, which may be a file itself, that `wanted` takes; relative to the project. */
function filesIn(place, wanted) {
  const full = path.join(root, place);
  const found = fs.statSync(full, { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return wanted.test(place) ? [place] : [];
  return fs
    .readdirSync(full, { withFileTypes: true })
    .flatMap((entry) =>
      entry.name === "node_modules"
        ? []
        : entry.isDirectory()
          ? filesIn(path.join(place, entry.name), wanted)
          : wanted.test(entry.name)
            ? [path.join(place, entry.name)]
            : [],
    );
}

/** Digest of files, names and contents. */
function digestOf(files) {
  const hash = createHash("sha256");
  for (const file of [...files].sort()) {
    const content = fs.existsSync(path.join(root, file)) ? fs.readFileSync(path.join(root, file)) : "";
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest("hex");
}

/** What the compiler reads: what it is given, and what npm has installed, the compiler itself included. */
function inputs() {
  const { include } = JSON.parse(fs.readFileSync(path.join(root, CONFIG), "utf8"));
  const configs = [CONFIG, "tsconfig.json", "package.json", path.join("node_modules", ".package-lock.json")];
  const own = path.relative(root, fileURLToPath(import.meta.url));
  return digestOf([...include.flatMap((place) => filesIn(place, /\.(ts|json)$/)), ...configs, own]);
}

const outputs = () => digestOf(filesIn("dist", /\.(js|gz|d\.ts|json)$/));

function stamp() {
  try {
    return JSON.parse(fs.readFileSync(stampFile, "utf8"));
  } catch {
    return {};
  }
}

/** Runs a program of Node's to its end; ends with its code where that is not 0. */
function run(...args) {
  const { status, signal } = spawnSync(process.execPath, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
}

/**
 * The guard, which runs in a pod without this project: one file with all that it needs. The client of Kubernetes, the reader
 * of kubeconfigs and what asks a cluster for a way stay out; the guard has a direct way to NATS and never uses them. So does what tries
 * NoETL's logins out; the guard looks alone.
 *
 * It is compressed, since each preview sends it through the engine several times, and by a library in JavaScript: that of Node makes
 * other bytes on other machines and releases, and each would be a change of the ConfigMap.
 */
async function bundleGuard() {
  const entry = path.join(dist, "contract", "guard", "main.js");
  if (!fs.existsSync(entry)) return;
  const { rolldown } = await import("rolldown");
  const { gzipSync } = await import("fflate");
  const external = [/^@kubernetes\//, "yaml"];
  const unused = [
    "kubernetes/api.js",
    "kubernetes/objects.js",
    "message.js",
    "nats/port-forward.js",
    "rules/feeders.js",
    "try-out.js",
  ].map((file) => path.join(dist, "contract", file));
  // Of NATS' client what measures it, its services, and its buckets and object stores.
  const client = [
    "nats-base-client/bench",
    "nats-base-client/service",
    "nats-base-client/serviceclient",
    "jetstream/kv",
    "jetstream/objectstore",
  ];
  unused.push(...client.map((file) => path.join(root, "node_modules", "nats", "lib", `${file}.js`)));
  const withoutUnused = {
    name: "without-unused",
    load: (id) => (unused.includes(id) ? "module.exports = {};" : null),
  };
  const bundle = await rolldown({
    input: entry,
    platform: "node",
    external,
    plugins: [withoutUnused],
    logLevel: "warn",
  });
  const { output } = await bundle.generate({ format: "cjs", codeSplitting: false, minify: true });
  await bundle.close();
  const packed = gzipSync(Buffer.from(output[0].code), { level: 9, mtime: 0 });
  fs.writeFileSync(path.join(dist, "contract", "guard", "guard.js.gz"), packed);
}

const before = inputs();
const known = stamp();
const written = known.outputs === outputs();
if (known.inputs !== before || !written) {
  if (process.env.NOETL_NATS_BUILD === "off") {
    process.stderr.write(
      "dist was not compiled of these sources and packages, and NOETL_NATS_BUILD=off has nothing compiled here: " +
        "run `npm run build` where it may be, and bring its dist along.\n",
    );
    process.exit(1);
  }
  fs.rmSync(stampFile, { force: true });
  // The compiler takes its own notes for what is in `dist`, and would not write again what somebody has removed.
  if (!written) fs.rmSync(path.join(dist, ".tsbuildinfo"), { force: true });
  run(path.join(root, "node_modules", "typescript", "bin", "tsc"), "-p", CONFIG);
  run(path.join(dist, "scripts", "prune.js"));
  await bundleGuard();
  const temporary = `${stampFile}.${process.pid}`;
  fs.writeFileSync(temporary, JSON.stringify({ inputs: before, outputs: outputs() }));
  fs.renameSync(temporary, stampFile);
}
