import { expect, it } from "vitest";
import { inStackWords } from "../../../commands/shared/stack-words";

const WORDS = { up: "make it", refresh: "make it --refresh", set: "make it -c KEY=VALUE" };
const said = (text: string): string => inStackWords(WORDS, text, "embedded");

it.each([
  [
    "gatewayReplicas: no effect while deployGateway is false; for example pulumi config rm gatewayReplicas",
    "gatewayReplicas: no effect while deployGateway is false; for example make it -c gatewayReplicas=",
  ],
  [
    "`pulumi config set natsGuardRolls false` does it all the same.",
    "`make it -c natsGuardRolls=false` does it all the same.",
  ],
  ["To keep one server: `pulumi config set natsReplicas 1`. To", "To keep one server: `make it -c natsReplicas=1`. To"],
  ["for example pulumi config set --secret natsPassword\nand", "for example make it -c natsPassword=...\nand"],
  ["pulumi config set a and more", "make it -c a=... and more"],
  ["pulumi config rm noetl-nats:a --stack embedded, then", "make it -c a=, then"],
  ['pulumi config set a "b c", or', 'make it -c a="b c", or'],
  ["pulumi config rm kubernetes:context and", "removing kubernetes:context from Pulumi.embedded.yaml and"],
  [
    "repair it by `pulumi refresh`; `pulumi up --refresh` does too, and pulumi up.",
    "repair it by `make it --refresh`; `make it --refresh` does too, and make it.",
  ],
])("%s", (text, expected) => expect(said(text)).toBe(expected));

it.each(["pulumi:pulumi:Stack updating", "pulumi update", "pulumi config set --secret", "pulumi-up", "xpulumi up"])(
  "%s is none of these commands",
  (text) => expect(said(text)).toBe(text),
);
