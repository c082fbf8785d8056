import type { CoreV1Api, V1Container, V1ContainerStatus, V1Pod, V1PodStatus } from "@kubernetes/client-node";
import { ContainerProcess, type RestartPolicy } from "./container";
import type { LocalPorts } from "./ports";
import { markOf } from "./processes";
import { podKey, programOf } from "./programs";
import type { ProgramTools, Situation } from "./programs/situation";
import { Sources } from "./sources";
import { podStatus, simulated } from "./status";

export interface PodOptions {
  readonly core: CoreV1Api;
  readonly dir: string;
  readonly folder: string;
  readonly ip: string;
  /** Port of 127.0.0.1 by declared port of the pod. */
  readonly ports: Readonly<Record<number, number>>;
  readonly allPorts: LocalPorts;
  /** Folder of the volume of a claim of the pod's namespace. */
  readonly claimed: (claim: string) => string | undefined;
  readonly lookUp: Situation["lookUp"];
  readonly tools: ProgramTools;
  /** Told of every process that starts, under a name of its own. */
  readonly onStart: (name: string, pid: number) => void;
}

/** A pod with real processes behind some of its containers; the others count as running, or as having succeeded. */
export class SupervisedPod {
  readonly ports: Readonly<Record<number, number>>;
  private readonly processes = new Map<string, ContainerProcess>();
  private readonly sources: Sources;
  private readonly since = new Date().toISOString();
  private last: V1PodStatus | undefined;

  constructor(
    readonly pod: V1Pod,
    private readonly options: PodOptions,
  ) {
    this.ports = options.ports;
    this.sources = new Sources(options.core, pod, options.ip);
    const policy = (pod.spec?.restartPolicy ?? "Always") as RestartPolicy;
    const add = (container: V1Container, restartPolicy: RestartPolicy) => {
      if (!programOf(pod, container)) return;
      const onStart = (pid: number) => options.onStart(`${podKey(pod)} ${container.name}`, pid);
      const { folder } = options;
      const process = new ContainerProcess(container, { pod: podKey(pod), restartPolicy, folder, onStart });
      this.processes.set(container.name, process);
    };
    for (const each of this.init) add(each, policy === "Never" ? "Never" : "OnFailure");
    for (const each of this.main) add(each, policy);
  }

  /** Logs of the containers with a process. */
  get logs(): Record<string, { file: string; previousFile: string }> {
    return Object.fromEntries([...this.processes].map(([name, { log }]) => [name, log]));
  }

  get ready(): boolean {
    return this.initialized && this.main.every((each) => this.processes.get(each.name)?.ready ?? true);
  }

  /** Starts what may start and asks what runs whether it is ready. */
  async advance(): Promise<void> {
    for (const container of this.due()) {
      const process = this.processes.get(container.name);
      // Not waited for: making a program may take a while, and other pods go on in the meantime.
      if (process?.claimStart()) void this.start(container, process);
    }
    await Promise.all([...this.processes.values()].map((each) => each.probe()));
  }

  /** The containers whose turn it is: init containers one after the other, then all others. */
  private due(): readonly V1Container[] {
    const next = this.init.find((each) => !this.hasSucceeded(each));
    return next ? [next] : this.main;
  }

  private async start(container: V1Container, process: ContainerProcess): Promise<void> {
    const { dir, folder, tools, allPorts, claimed, lookUp } = this.options;
    const situation: Situation = {
      pod: this.pod,
      container,
      sources: this.sources,
      dir,
      folder,
      tools,
      mounts: () => this.sources.mounts(container, folder, claimed),
      lookUp,
      port: (port, pod) => allPorts.of(pod ? `${this.pod.metadata?.namespace}/${pod}` : podKey(this.pod), port),
    };
    try {
      const program = await programOf(this.pod, container)?.(situation);
      if (program) process.start({ ...program, env: { ...program.env, ...markOf(dir) } });
    } catch (error) {
      process.block(error);
    }
  }

  status(): V1PodStatus {
    const init = this.init.map((each, index) => {
      const earlier = this.init.slice(0, index).every((one) => this.hasSucceeded(one));
      return this.statusOf(each, earlier ? "completed" : "waiting", "PodInitializing");
    });
    const waiting = this.init.length > 0 ? "PodInitializing" : "ContainerCreating";
    const main = this.main.map((each) => this.statusOf(each, this.initialized ? "running" : "waiting", waiting));
    const state = { ip: this.options.ip, since: this.since, init, containers: main };
    this.last = podStatus(state, this.last, new Date());
    return this.last;
  }

  private statusOf(
    container: V1Container,
    otherwise: "waiting" | "running" | "completed",
    waiting: "PodInitializing" | "ContainerCreating",
  ): V1ContainerStatus {
    return this.processes.get(container.name)?.status(waiting) ?? simulated(container, otherwise, this.since);
  }

  async end(): Promise<void> {
    await Promise.all([...this.processes.values()].map((each) => each.end()));
  }

  private get init(): readonly V1Container[] {
    return this.pod.spec?.initContainers ?? [];
  }

  private get main(): readonly V1Container[] {
    return this.pod.spec?.containers ?? [];
  }

  private get initialized(): boolean {
    return this.init.every((each) => this.hasSucceeded(each));
  }

  private hasSucceeded(container: V1Container): boolean {
    return this.processes.get(container.name)?.succeeded ?? true;
  }
}
