import * as pulumi from "@pulumi/pulumi";

/** The same value with the keys of every object in the opposite order. */
export const reversed = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(reversed)
    : value !== null && typeof value === "object" && !pulumi.Output.isInstance(value)
      ? Object.fromEntries(
          Object.entries(value)
            .reverse()
            .map(([key, inner]) => [key, reversed(inner)]),
        )
      : value;
