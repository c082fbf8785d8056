/** How the setting networkClients is written. */
import { CLIENT_PARTS, type ClientPart, type Layout } from "../contract/network";
import { namespaceName } from "../contract/validate";

export const PARTS = Object.keys(CLIENT_PARTS) as ClientPart[];

/** A namespace and the part of the stack that its pods are let in to; undefined where the text is neither. */
export function clientOf(text: string): Layout["clients"][number] | undefined {
  const [namespace = "", name = "", ...more] = text.split(":");
  const part = PARTS.find((each) => each === name);
  return part && more.length === 0 && namespaceName(namespace) === undefined ? { namespace, part } : undefined;
}

/** Checks networkClients. */
export function networkClients(values: readonly string[]): string | undefined {
  const wrong = values.find((value) => clientOf(value) === undefined);
  return wrong === undefined
    ? undefined
    : `not a list of clients: "${wrong}" is not NAMESPACE:PART with one of ${PARTS.join(", ")}`;
}
