import * as pulumi from "@pulumi/pulumi";

/** A program's runtime without an engine. */
export const withMocks = (): Promise<void> =>
  pulumi.runtime.setMocks({
    newResource: ({ name, inputs }) => ({ id: name, state: inputs as Record<string, unknown> }),
    call: ({ inputs }) => inputs as Record<string, unknown>,
  });

/** The value of an input, and whether it is a secret. */
export async function value(input: pulumi.Input<string> | undefined): Promise<{ text: string; secret: boolean }> {
  const output = pulumi.output(input ?? "");
  const text = await new Promise<string>((resolve) => void output.apply(resolve));
  return { text, secret: await pulumi.isSecret(output) };
}
