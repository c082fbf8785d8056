import { type ChildProcess, spawn } from "node:child_process";
import type { V1Container, V1ContainerStateTerminated, V1ContainerStatus } from "@kubernetes/client-node";
import { endGroup } from "../../commands/shared/process-group";
import { ContainerLog } from "./log";
import { confined } from "./read-only";

/** Seconds until a container that ended is started again; the kubelet's own begin at ten. */
const BACKOFF_SECONDS = [1, 2, 4, 8, 10];
/** Failed probes in a row that take readiness from a container; default of the API. */
const FAILURE_THRESHOLD = 3;
/** How long a process has to end before it is killed. */
const GRACE_MS = 3000;

/** A real process behind a container. */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** User and group that the process runs as, where they are not those of the supervisor. */
  readonly user?: { readonly uid: number; readonly gid: number };
  /**
   * What the readiness probe asks of the process with this id; where it is missing, a running container is ready. One that is
   * ready stays so until as many probes in a row failed as its manifest says.
   */
  readonly isReady?: (pid: number) => Promise<boolean>;
  /** Seconds between two probes of a container that is ready; default 1. */
  readonly probeSeconds?: number;
  /** The `postStart` hook: runs beside the process; where it fails, the container is ended. */
  readonly postStart?: () => Promise<void>;
  /** Called again and again while the process runs; for what reloads a changed configuration. */
  readonly refresh?: (signal: (name: NodeJS.Signals) => void) => Promise<void>;
  /** Folders that the process can write to, of a container whose file system is read-only; default: it can write everywhere. */
  readonly writes?: readonly string[] | undefined;
  /** What ends the process; default SIGTERM. */
  readonly stopSignal?: NodeJS.Signals;
}

/** A container that cannot be made; `reason` is the kubelet's word for it. */
export class CreateError extends Error {
  constructor(
    readonly reason: "CreateContainerConfigError" | "CreateContainerError",
    message: string,
  ) {
    super(message);
  }
}

export type RestartPolicy = "Always" | "OnFailure" | "Never";

export interface ContainerOptions {
  /** Namespace and name of its pod. */
  readonly pod: string;
  readonly restartPolicy: RestartPolicy;
  /** Where its logs are. */
  readonly folder: string;
  /** Called with the id of each process that is started. */
  readonly onStart: (pid: number) => void;
}

/** One container and its process: starts, restarts with growing pauses, and tells its state as the kubelet does. */
export class ContainerProcess {
  readonly log: ContainerLog;
  ready = false;
  private program: Program | undefined;
  private child: ChildProcess | undefined;
  /** False while the `postStart` hook runs. */
  private hooked = true;
  private probedAt = 0;
  /** Probes that failed in a row. */
  private failures = 0;
  private startedAt = "";
  private starts = 0;
  private nextStart = 0;
  private starting = false;
  private finished = false;
  private blocked: { reason: string; message: string } | undefined;
  private last: V1ContainerStateTerminated | undefined;

  constructor(
    private readonly container: V1Container,
    private readonly options: ContainerOptions,
  ) {
    this.log = new ContainerLog(options.folder, container.name);
  }

  get running(): boolean {
    return this.child !== undefined;
  }

  /** True once the container has ended for good. */
  get done(): boolean {
    return this.finished;
  }

  get succeeded(): boolean {
    return this.finished && this.last?.exitCode === 0;
  }

  /** True where its program may be made now; it then waits until {@link start} or {@link block}. */
  claimStart(): boolean {
    if (this.child || this.finished || this.starting || Date.now() < this.nextStart) return false;
    this.starting = true;
    return true;
  }

  start(program: Program): void {
    this.starting = false;
    if (this.finished) return;
    this.program = program;
    this.blocked = undefined;
    this.starts++;
    this.startedAt = now();
    this.log.begin();
    const { command, args } = confined(program);
    const child = spawn(command, args, {
      // Nothing of this machine's environment reaches the process but what the program names.
      env: { ...program.env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what it starts ends with it.
      detached: true,
      ...program.user,
    });
    this.child = child;
    if (child.pid !== undefined) this.options.onStart(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => this.log.write(text));
    }
    child.on("error", (error) => this.log.write(`${error.message}\n`));
    child.on("close", (code, signal) => {
      if (this.child === child) this.ended(code ?? (signal === "SIGKILL" ? 137 : 143));
    });
    this.hooked = program.postStart === undefined;
    program.postStart?.().then(
      () => (this.hooked = true),
      (error: unknown) => {
        if (this.child !== child) return;
        this.log.write(`the postStart hook failed: ${error instanceof Error ? error.message : String(error)}\n`);
        this.signal("SIGKILL");
      },
    );
  }

  /** The container cannot be made now; it is tried again after a second. */
  block(error: unknown): void {
    this.starting = false;
    const reason = error instanceof CreateError ? error.reason : "CreateContainerError";
    this.blocked = { reason, message: error instanceof Error ? error.message : String(error) };
    this.nextStart = Date.now() + 1000;
  }

  private ended(exitCode: number): void {
    this.child = undefined;
    this.ready = false;
    this.log.end();
    // As the kubelet does it: the end of the log becomes the message only where the container asks for that.
    const tells = exitCode !== 0 && this.container.terminationMessagePolicy === "FallbackToLogsOnError";
    this.last = {
      exitCode,
      reason: exitCode === 0 ? "Completed" : "Error",
      message: tells ? this.log.message() : undefined,
      startedAt: new Date(this.startedAt),
      finishedAt: new Date(now()),
    };
    const { restartPolicy } = this.options;
    this.finished = restartPolicy === "Never" || (restartPolicy === "OnFailure" && exitCode === 0);
    this.nextStart = Date.now() + this.pause * 1000;
  }

  private get pause(): number {
    return BACKOFF_SECONDS[Math.min(this.starts, BACKOFF_SECONDS.length) - 1] ?? 1;
  }

  async probe(): Promise<void> {
    const pid = this.child?.pid;
    if (pid === undefined || !this.program) return;
    if (this.ready && Date.now() < this.probedAt + (this.program.probeSeconds ?? 1) * 1000) return;
    this.probedAt = Date.now();
    await this.program.refresh?.((name) => this.signal(name));
    // A container counts as started only after its hook.
    const passes = this.hooked && ((await this.program.isReady?.(pid)) ?? true);
    this.failures = passes ? 0 : this.failures + 1;
    const holds = this.ready && this.failures < (this.container.readinessProbe?.failureThreshold ?? FAILURE_THRESHOLD);
    this.ready = (passes || holds) && this.child?.pid === pid;
  }

  /** @param waiting why a container that was never started waits */
  status(waiting: "PodInitializing" | "ContainerCreating"): V1ContainerStatus {
    return {
      name: this.container.name,
      image: this.container.image ?? "",
      imageID: "",
      ready: this.finished ? this.succeeded : this.ready,
      started: this.running,
      restartCount: Math.max(0, this.starts - 1),
      ...this.state(waiting),
    };
  }

  private state(waiting: string): Pick<V1ContainerStatus, "state" | "lastState"> {
    const lastState = this.last ? { lastState: { terminated: this.last } } : {};
    if (this.child) return { state: { running: { startedAt: new Date(this.startedAt) } }, ...lastState };
    if (this.finished && this.last) return { state: { terminated: this.last } };
    if (this.blocked) return { state: { waiting: this.blocked }, ...lastState };
    if (!this.last) return { state: { waiting: { reason: waiting } } };
    const message = `back-off ${this.pause}s restarting failed container=${this.container.name} pod=${this.options.pod}`;
    return { state: { waiting: { reason: "CrashLoopBackOff", message } }, ...lastState };
  }

  async end(): Promise<void> {
    const child = this.child;
    this.child = undefined;
    this.finished = true;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("close", resolve));
    endGroup(child, this.program?.stopSignal ?? "SIGTERM");
    const late = setTimeout(() => endGroup(child, "SIGKILL"), GRACE_MS);
    await ended;
    clearTimeout(late);
  }

  private signal(name: NodeJS.Signals): void {
    if (this.child) endGroup(this.child, name);
  }
}

/** Kubernetes keeps whole seconds. */
const now = () => `${new Date().toISOString().slice(0, 19)}Z`;
