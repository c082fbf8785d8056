import { describe, expect, it } from "vitest";
import * as is from "../../config/validate";

describe("quantityBytes", () => {
  it.each([
    ["5Gi", 5 * 1024 ** 3],
    ["500M", 500e6],
    ["1k", 1000],
    ["1.5Gi", 1.5 * 1024 ** 3],
    ["1073741824", 1073741824],
  ])("reads %s", (text, bytes) => expect(is.quantityBytes(text)).toBe(bytes));
  it.each(["", "5GB", "5 Gi", "-1Gi", "1e3", "Gi", "5gi", "100m"])("refuses %j", (text) =>
    expect(is.quantityBytes(text)).toBeUndefined(),
  );
});

describe("subject", () => {
  it.each(["noetl.commands", "a", "noetl.*.x", "noetl.>"])("takes %s", (text) =>
    expect(is.subject(text)).toBeUndefined(),
  );
  it.each(["", "a..b", ".a", "a.", "a b", "a.>.b", "a>", "a.b*", "$JS.API"])("refuses %j", (text) =>
    expect(is.subject(text)).toBeDefined(),
  );
  it("wants a literal subject where one publishes", () => {
    expect(is.literalSubject("noetl.commands")).toBeUndefined();
    for (const text of ["noetl.*", "noetl.>", ">"]) expect(is.literalSubject(text)).toContain("wildcard");
  });
});

describe("credential", () => {
  it.each(["noetl", "a-long.random_Word~42"])("takes %s", (text) => expect(is.credential(text)).toBeUndefined());
  it.each(["p@ss", "a:b", "a/b", "a%20", "a b", 'a"b', "ä"])("refuses %j without repeating it", (text) => {
    expect(is.credential(text)).toBeDefined();
    expect(is.credential(text)).not.toContain(text);
  });
});

describe("origin", () => {
  it.each(["http://localhost:3001", "https://app.example.org"])("takes %s", (text) =>
    expect(is.origin(text)).toBeUndefined(),
  );
  it.each(["app.example.org", "https://app.example.org/", "https://*.example.org", "ftp://x", "https://"])(
    "refuses %j",
    (text) => expect(is.origin(text)).toBeDefined(),
  );
});

describe("nearest", () => {
  it("finds a misspelt key and no far one", () => {
    expect(is.nearest("natsPasword", ["natsPassword", "natsUser"])).toBe("natsPassword");
    expect(is.nearest("colour", ["natsPassword", "natsUser"])).toBeUndefined();
  });
});
