/** What a login must be allowed so that a repair is not stopped half-way. */
import { Deadline } from "../../../contract/deadline";
import { consumerTerms, publishedSubjects, type ContractInputs } from "../../../contract/inputs";
import { literalOf } from "../../../contract/probe";
import { mayPublish, type Session } from "../../../contract/nats/session";
import { plural } from "../../../contract/wording";
import { CommandError } from "../../shared/exit";
import { holdingStream, inlet, trialStream } from "./holding";
import { lockStream, lockSubject } from "./lock";
import type { RepairPlan } from "./plan";

const QUESTION_MILLISECONDS = 5_000;
/** So many of the subjects that are missing are named. */
const MOST_NAMED = 5;

export const LET_IT =
  "Let it publish on $JS.API.>, noetl-nats.> and what NoETL publishes on, at least while it repairs, reload NATS and run the same " +
  "command again.";

/** Subjects that the repair of a plan publishes on, requests to the JetStream API included. */
function needed({ recreates, renews }: RepairPlan, inputs: ContractInputs): string[] {
  const { stream } = inputs;
  const [holding, lock, trial] = [holdingStream(stream), lockStream(stream), trialStream(stream)];
  const of = (name: string, ...requests: string[]): string[] => requests.map((each) => `STREAM.${each}.${name}`);
  const consumers = recreates === "consumer" ? renews : consumerTerms(inputs).map(({ name }) => name);
  const made = consumers.map((name) => `CONSUMER.DURABLE.CREATE.${stream}.${name}`);
  const api = [
    ...of(lock, "INFO", "CREATE", "DELETE", "MSG.GET"),
    ...of(stream, "INFO", "MSG.GET"),
    `CONSUMER.LIST.${stream}`,
    ...made,
    ...(recreates === "consumer"
      ? [...of(stream, "MSG.DELETE"), ...consumers.map((name) => `CONSUMER.DELETE.${stream}.${name}`)]
      : [
          ...of(stream, "CREATE", "UPDATE", "DELETE"),
          ...of(holding, "INFO", "CREATE", "UPDATE", "DELETE", "PURGE", "MSG.GET"),
          ...of(trial, "INFO", "CREATE", "DELETE"),
          ...consumers.map((name) => `CONSUMER.DURABLE.CREATE.${trial}.${name}`),
        ]),
  ];
  const published = publishedSubjects(inputs).map(literalOf);
  return [
    ...api.map((subject) => `$JS.API.${subject}`),
    lockSubject(stream),
    ...published,
    ...(recreates === "stream" ? published.map((subject) => `${inlet("any")}.${subject}`) : []),
  ];
}

/**
 * Refuses where the login lacks what the plan needs, as far as the server tells what it may do (nats-server 2.10).
 *
 * @throws CommandError before anything is changed.
 */
export async function refuseWithoutRights(session: Session, plan: RepairPlan, inputs: ContractInputs): Promise<void> {
  if (plan.recreates === undefined) return;
  const permissions = await session.permissions(new Deadline(QUESTION_MILLISECONDS));
  if (permissions === undefined) return;
  const missing = needed(plan, inputs).filter((subject) => !mayPublish(permissions, subject));
  if (missing.length === 0) return;
  const more = missing.length > MOST_NAMED ? `, and ${plural(missing.length - MOST_NAMED, "other")}` : "";
  throw new CommandError(
    `${session.login} lacks permissions at ${session.server} that the repair needs on its way: publish on ` +
      `${missing.slice(0, MOST_NAMED).join(", ")}${more}. ${LET_IT} Nothing was changed`,
    "wrong",
  );
}
