import { expect, it } from "vitest";
import { environmentOf } from "../../../commands/diff/environment";

it("shows a literal as the container gets it, and what it refers to by its name", () => {
  const env = [{ name: "PREFIX", value: "a$$b.$(OTHER).$$(OTHER)" }];
  const workload = {
    apiVersion: "apps/v1",
    kind: "Deployment",
    spec: { template: { spec: { containers: [{ env }] } } },
  };
  expect(environmentOf(workload, [])).toEqual({
    PREFIX: { value: "a$b.$(OTHER).$(OTHER)", source: "literal" },
  });
});
