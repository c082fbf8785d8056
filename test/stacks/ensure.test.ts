import * as pulumi from "@pulumi/pulumi";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { parseSettings } from "../../config/parse";
import { settled } from "../support/mocks";

/** Names of resources as they come to be registered and, with a trailing "!", to be there. */
let order: string[];

async function deployed(config: Record<string, string>): Promise<string[]> {
  order = [];
  await pulumi.runtime.setMocks(
    {
      newResource: async ({ type, name, inputs }) => {
        order.push(name);
        // Long enough for everything that does not wait to overtake it.
        if (type.includes("StreamContract")) await new Promise((resolve) => setTimeout(resolve, 200));
        order.push(`${name}!`);
        const metadata = { name, ...((inputs as { metadata?: object }).metadata ?? {}), uid: "uid" };
        return {
          id: `${name}-id`,
          state: { ...(inputs as object), metadata, result: "generated", status: { revision: 1 }, data: {} },
        };
      },
      call: ({ inputs }) => inputs as Record<string, unknown>,
    },
    "noetl-nats",
    "test",
  );
  const { deploy } = await import("../../program.js");
  deploy(
    parseSettings(
      { deployGateway: "true", gatewayImage: "registry.example.com/gateway:v2.14.1", ...config },
      () => true,
    ),
  );
  for (let last = ""; last !== order.at(-1) || !order.includes("stream-contract!");) {
    last = order.at(-1) ?? "";
    await settled(order as never);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  return order;
}

describe("contractMode", () => {
  beforeEach(() => vi.resetModules());

  it("ensure has the stream in place after NATS, and before anything of NoETL and the gateway", async () => {
    const names = await deployed({ contractMode: "ensure" });
    const at = (name: string): number => {
      expect(names).toContain(name);
      return names.indexOf(name);
    };
    expect(at("nats-release!")).toBeLessThan(at("stream-ensured"));
    const ensured = at("stream-ensured!");
    const later = names.filter((name) => /^(noetl|gateway)-[^!]*$/.test(name));
    expect(later.length).toBeGreaterThan(3);
    expect(later.filter((name) => at(name) < ensured)).toEqual([]);
    expect(at("stream-contract")).toBeGreaterThan(at("noetl-release!"));
  });

  it("assert leaves that to NoETL", async () => {
    const names = await deployed({});
    expect(names).not.toContain("stream-ensured");
    expect(names).toContain("stream-contract!");
  });
});
