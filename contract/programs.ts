/** The programs that printed commands begin with, as they reach the place of a contract. */
import { type ContractInputs, isServersConnection } from "./inputs";
import { kubectlTo } from "./kubernetes/kubectl";
import { quoted } from "./shell";

/** A command line: a program with what leads it to its place, and words for it. */
export const line = (program: string, ...words: readonly string[]): string => [program, ...words.map(quoted)].join(" ");

/** The programs of one set-up, as a command line has them. No command holds a credential. */
export function programsOf({ connection }: Pick<ContractInputs, "connection">): { nats: string; kubectl: string } {
  if (isServersConnection(connection)) {
    return { nats: line("nats", "--server", connection.servers.join(",")), kubectl: "kubectl" };
  }
  const kubectl = kubectlTo(connection);
  if (connection.natsCommand !== undefined) return { nats: connection.natsCommand, kubectl };
  // The nats chart names its box after the release, as it does its Service, and logs it in.
  const box = line(kubectl, "-n", connection.namespace, "exec", `deploy/${connection.service}-box`, "--", "nats");
  return { nats: box, kubectl };
}
