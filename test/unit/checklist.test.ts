import { describe as suite, expect, it } from "vitest";
import { describe } from "../../embedded/checklist";

suite("what the checklist says of a variable", () => {
  it("names a Secret and never shows its value", () => {
    const valueFrom = { secretKeyRef: { name: "gateway-credentials", key: "NATS_URL" } };
    expect(describe({ name: "NATS_URL", valueFrom })).toBe("from Secret gateway-credentials, key NATS_URL");
  });

  it("masks a password that another chart puts into a URL", () => {
    const said = describe({ name: "NATS_URL", value: "nats://noetl:canary@nats.nats:4222,nats://noetl:canary@b:4222" });
    expect(said).toBe(
      "nats://noetl:***@nats.nats:4222,nats://noetl:***@b:4222 (the chart keeps the password in plain text in the Deployment)",
    );
  });

  it("shows a value without a password as it is", () => {
    const value = "http://localhost:3000,http://localhost:8080";
    expect(describe({ name: "CORS_ALLOWED_ORIGINS", value })).toBe(value);
  });
});
