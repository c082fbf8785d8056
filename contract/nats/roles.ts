/**
 * Who logs in to NATS where everybody has a user of its own, and what each may do: the one table that nats.conf's users, the
 * documentation and the test on a server are made of. Sources: NoETL 2.8.9 as it is installed, with nats-py 2.16; the clients
 * of 2.29.0 and 4.26.0; gateway 2.9.1 with async-nats 0.38.
 */
import { bucketStream, bucketSubjects } from "../buckets";
import { bucketsOf, callbacksSubject, updatesSubject } from "../rules/gateway";
import { NOETL_STORES } from "../rules/store";
import { consumerTerms, type ContractInputs, streamSubjects } from "../inputs";
import type { Permissions } from "./users";

/** Parts of NoETL that have a user of their own. */
export const NATS_ROLES = ["server", "worker", "gateway"] as const;
export type NatsRole = (typeof NATS_ROLES)[number];

/** The user of a part, before its first change of password. */
export const roleUser = (role: NatsRole): string => `noetl-${role}`;

/**
 * First token of the subjects on which a part gets its answers. Answers hold commands, states and sessions, and who may
 * subscribe to `_INBOX.>` hears everybody's. The gateway's client takes no other than `_INBOX`, so that the others leave it.
 */
export const roleInbox = (role: NatsRole): string => (role === "gateway" ? "_INBOX" : `_INBOX_noetl_${role}`);

/** The variable by which the chart's module for Python (charts/noetl/files/sitecustomize.py) and its probe know of it. */
export const INBOX_VARIABLE = "NATS_INBOX_PREFIX";

/** The user of nats-box, where parts have users of their own, before its first change of password; and its inbox. */
export const OPERATOR_USER = "operator";
export const OPERATOR_INBOX = "_INBOX_operator";

/** Something that a part does. */
export interface Act {
  /** In words that follow "may". */
  readonly what: string;
  readonly publish?: readonly string[];
  readonly subscribe?: readonly string[];
}

/** The stream of NoETL's mirrored events, and its subjects. Source: `NATSEventPublisher` of NoETL 2.39 to 4.26. */
const EVENTS = { stream: "NOETL_EVENTS", subjects: "noetl.events.>" } as const;

const [STATES, RESULTS, OBJECTS] = NOETL_STORES;

const api = (...requests: readonly string[]): string[] => requests.map((request) => `$JS.API.${request}`);

/** Looks a stream up, and makes it where it is missing. */
const made = (stream: string): string[] => api(`STREAM.INFO.${stream}`, `STREAM.CREATE.${stream}`);

/** Reads a bucket's entries: directly, or by the stream's messages where it does not allow that. */
const read = (stream: string): string[] =>
  api(`DIRECT.GET.${stream}`, `DIRECT.GET.${stream}.>`, `STREAM.MSG.GET.${stream}`);

/** Lists a bucket's keys, or reads an object's parts: with a consumer that ends with its client. */
const followed = (stream: string): string[] => [
  ...api(
    `CONSUMER.CREATE.${stream}`,
    `CONSUMER.CREATE.${stream}.>`,
    `CONSUMER.INFO.${stream}.*`,
    `CONSUMER.DELETE.${stream}.*`,
  ),
  `$JS.FC.${stream}.>`,
];

/** Server and workers keep results that are too large for a message. */
const RESULT_ACTS: readonly Act[] = [
  {
    what: "keep results of steps in bucket noetl_result_store",
    publish: [...made(RESULTS), ...read(RESULTS), bucketSubjects("noetl_result_store")],
  },
  {
    what: "keep large results in object store noetl_result_objects",
    publish: [
      ...made(OBJECTS),
      ...read(OBJECTS),
      ...followed(OBJECTS),
      // Parts of an object that takes another's place, or could not be stored; and nats-py asks which stream has an object's.
      ...api(`STREAM.PURGE.${OBJECTS}`, "STREAM.NAMES"),
      "$O.noetl_result_objects.>",
    ],
  },
];

const answers = (role: NatsRole): Act => ({
  what: "ask whether there is JetStream, and get the answers to what it asks",
  publish: api("INFO"),
  subscribe: [`${roleInbox(role)}.>`],
});

/** Lines whose server and workers add subjects to a stream that lacks them. */
const widens = ({ noetlLine }: ContractInputs): boolean => noetlLine === "4.7";

/** Both make the stream, whoever comes first. */
const streamAct = (inputs: ContractInputs): Act => ({
  what: widens(inputs) ? "make the stream of the commands, and add its subjects" : "make the stream of the commands",
  publish: [...made(inputs.stream), ...(widens(inputs) ? api(`STREAM.UPDATE.${inputs.stream}`) : [])],
});

function serverActs(inputs: ContractInputs): Act[] {
  const mirrors = inputs.noetlLine === "2.10" || inputs.noetlLine === "4.7";
  return [
    { what: "announce commands", publish: streamSubjects(inputs) },
    streamAct(inputs),
    {
      what: "keep the state of executions in bucket noetl_execution_state",
      publish: [...made(STATES), ...read(STATES), ...followed(STATES), bucketSubjects("noetl_execution_state")],
    },
    ...RESULT_ACTS,
    ...(mirrors ? [{ what: "mirror events", publish: [...made(EVENTS.stream), EVENTS.subjects] }] : []),
    answers("server"),
  ];
}

function workerActs(inputs: ContractInputs): Act[] {
  const { stream } = inputs;
  const consumers = consumerTerms(inputs).map(({ name }) => `${stream}.${name}`);
  return [
    streamAct(inputs),
    {
      what: "make its durable consumer, again where max_ack_pending differs",
      publish: [
        ...api("STREAM.NAMES"),
        ...consumers.flatMap((each) =>
          api(`CONSUMER.INFO.${each}`, `CONSUMER.DURABLE.CREATE.${each}`, `CONSUMER.DELETE.${each}`),
        ),
      ],
    },
    {
      what: "fetch commands and acknowledge them",
      publish: consumers.flatMap((each) => [...api(`CONSUMER.MSG.NEXT.${each}`), `$JS.ACK.${each}.>`]),
    },
    ...RESULT_ACTS,
    answers("worker"),
  ];
}

function gatewayActs(inputs: ContractInputs): Act[] {
  const { gateway } = inputs;
  if (gateway === undefined) return [];
  return [
    ...bucketsOf(inputs).map(({ name, purpose }): Act => {
      const stream = bucketStream(name);
      return {
        what: `keep ${purpose} in bucket ${name}`,
        publish: [...made(stream), ...read(stream), ...followed(stream), bucketSubjects(name)],
      };
    }),
    { what: "hear of updates of executions", subscribe: [updatesSubject(gateway)] },
    { what: "hear callbacks", subscribe: [callbacksSubject(gateway)] },
    answers("gateway"),
  ];
}

/** What a part does with NATS; empty for the gateway where there is none. */
export const roleActs = (role: NatsRole, inputs: ContractInputs): Act[] =>
  ({ server: serverActs, worker: workerActs, gateway: gatewayActs })[role](inputs);

/** What its user may do, and nothing else. */
export const rolePermissions = (role: NatsRole, inputs: ContractInputs): RolePermissions =>
  permissionsFor(roleActs(role, inputs));

/** The same of nats-box's user. */
export const operatorPermissions = (inputs: ContractInputs): RolePermissions => permissionsFor(operatorActs(inputs));

const permissionsFor = (acts: readonly Act[]): RolePermissions => ({
  publish: { allow: [...new Set(acts.flatMap(({ publish = [] }) => publish))] },
  subscribe: { allow: [...new Set(acts.flatMap(({ subscribe = [] }) => subscribe))] },
});

/** As nats-server takes them; with both lists, so that none of them allows everything. */
export interface RolePermissions extends Permissions {
  readonly publish: { readonly allow: string[] };
  readonly subscribe: { readonly allow: string[] };
}

/** What whoever opens a shell in nats-box does there: everything with JetStream, and no more. */
export const operatorActs = (inputs: ContractInputs): Act[] => [
  { what: "look at, make, change and remove streams, consumers, buckets and what is in them", publish: api(">") },
  { what: "announce a command again", publish: streamSubjects(inputs) },
  { what: "change entries of buckets and object stores", publish: ["$KV.>", "$O.>"] },
  { what: "get the answers to what it asks", subscribe: [`${OPERATOR_INBOX}.>`] },
];
