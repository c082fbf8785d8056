import { spawn } from "node:child_process";
import * as path from "node:path";
import * as grpc from "@grpc/grpc-js";
import { LanguageRuntimeService } from "@pulumi/pulumi/proto/language_grpc_pb";
import * as rpc from "@pulumi/pulumi/proto/language_pb";
import { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";

/**
 * Stands in for the plugin `pulumi-language-nodejs`, which only a download site has. Like that one it starts the launcher
 * that the SDK's npm package carries, in the program's folder, with the entry point that the engine names and the
 * configuration in the environment; TypeScript is loaded as the launcher does it. It knows nothing of installing
 * dependencies, of plugins that packages want, or of debugging. The engine attaches to it by `PULUMI_DEBUG_LANGUAGES=nodejs:PORT`;
 * its option `--client` would lose the options of `Pulumi.yaml`.
 */
export async function startLanguageHost(): Promise<{ port: number; stop(): void }> {
  const server = new grpc.Server();
  // Where the program's log goes. Engines that use the host come one after the other.
  let engine = "";
  server.addService(LanguageRuntimeService, {
    handshake: (
      call: grpc.ServerUnaryCall<rpc.LanguageHandshakeRequest, rpc.LanguageHandshakeResponse>,
      callback: grpc.sendUnaryData<rpc.LanguageHandshakeResponse>,
    ) => {
      engine = call.request.getEngineAddress();
      callback(null, new rpc.LanguageHandshakeResponse());
    },
    getPluginInfo: (_: unknown, callback: grpc.sendUnaryData<PluginInfo>) =>
      callback(null, new PluginInfo().setVersion("1.0.0")),
    getRequiredPackages: (_: unknown, callback: grpc.sendUnaryData<rpc.GetRequiredPackagesResponse>) =>
      callback(null, new rpc.GetRequiredPackagesResponse()),
    getRequiredPlugins: (_: unknown, callback: grpc.sendUnaryData<rpc.GetRequiredPluginsResponse>) =>
      callback(null, new rpc.GetRequiredPluginsResponse()),
    run: (call: grpc.ServerUnaryCall<rpc.RunRequest, rpc.RunResponse>, callback: grpc.sendUnaryData<rpc.RunResponse>) =>
      void run(call.request, engine).then(
        (bail) => callback(null, new rpc.RunResponse().setBail(bail)),
        (error: Error) => callback(error),
      ),
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, stop: () => server.forceShutdown() };
}

/** Exit code of the launcher for a program that has already said what is wrong. */
const BAIL = 32;

function run(request: rpc.RunRequest, engine: string): Promise<boolean> {
  const info = request.getInfo();
  if (!info) throw new Error("the engine names no program");
  const folder = info.getProgramDirectory();
  const options = info.getOptions()?.toJavaScript() ?? {};
  const flags: [string, string][] = [
    ["monitor", request.getMonitorAddress()],
    ["engine", engine],
    ["organization", request.getOrganization()],
    ["project", request.getProject()],
    ["root-directory", info.getRootDirectory()],
    ["stack", request.getStack()],
    ["pwd", folder],
    ["parallel", String(request.getParallel())],
  ];
  const child = spawn(
    process.execPath,
    [
      path.join(folder, "node_modules", "@pulumi", "pulumi", "cmd", "run"),
      ...flags.filter(([, value]) => value !== "").flatMap(([name, value]) => [`--${name}`, value]),
      ...(request.getDryrun() ? ["--dry-run"] : []),
      info.getEntryPoint(),
    ],
    {
      cwd: folder,
      env: {
        ...process.env,
        PULUMI_NODEJS_TYPESCRIPT: "true",
        ...(typeof options.tsconfig === "string" ? { PULUMI_NODEJS_TSCONFIG_PATH: options.tsconfig } : {}),
        // Older SDKs know keys in this form only, so that the real host still writes it.
        PULUMI_CONFIG: JSON.stringify(
          Object.fromEntries(
            [...request.getConfigMap().entries()].map(([key, value]) => [key.replace(":", ":config:"), value]),
          ),
        ),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.getConfigsecretkeysList()),
      },
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(false);
      else if (code === BAIL) resolve(true);
      else reject(new Error(`the program ended with exit code ${code}`));
    });
  });
}
