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

describe("subjectPrefix", () => {
  it("wants its dot", () => {
    expect(is.subjectPrefix("noetl.events.")).toBeUndefined();
    for (const text of ["noetl.events", "noetl..", ".", "noetl.*.", ""])
      expect(is.subjectPrefix(text), text).toBeDefined();
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
  it.each(["http://localhost:3001", "https://app.example.org", "http://[::1]:3000", "https://xn--bcher-kva.example"])(
    "takes %s",
    (text) => expect(is.origin(text)).toBeUndefined(),
  );
  it.each([
    ["app.example.org", /has no scheme/, "https://app.example.org"],
    ["localhost:3001", /has no scheme/, "https://localhost:3001"],
    ["https://app.example.org/", /ends with a slash/, "https://app.example.org"],
    ["https://app.example.org/login?next=1", /has a path/, "https://app.example.org"],
    ["https://app.example.org:443", /names its scheme's own port/, "https://app.example.org"],
    ["http://localhost:80", /names its scheme's own port/, "http://localhost"],
    ["https://App.Example.org", /has capitals/, "https://app.example.org"],
    ["HTTPS://app.example.org", /has capitals/, "https://app.example.org"],
    ["https://bob@app.example.org", /holds a login/, "https://app.example.org"],
    ["https://bücher.example", /is not spelt as a browser sends it/, "https://xn--bcher-kva.example"],
    ["https://app.example.org:0443", /is not spelt|own port/, "https://app.example.org"],
    ["https://*.example.org", /holds a wildcard/, "https://app.example.org"],
    [
      "https://a.example.org;http://b.example.org",
      /another sign than comma/,
      "https://a.example.org,http://b.example.org",
    ],
    ["capacitor://localhost", /has the scheme capacitor/, "https://localhost"],
    ["ftp://files.example.org", /has the scheme ftp/, "https://files.example.org"],
    ["*", /stands for every page/, undefined],
    ["null", /pages without an origin/, undefined],
    ["https://", /is not a URL/, undefined],
  ])("refuses %j for its own reason, with what a browser sends in its place", (text, why, instead) => {
    expect(is.origin(text)).toMatch(why);
    expect(is.suggestedOrigins([text])).toBe(instead);
    for (const each of instead?.split(",") ?? []) expect(is.origin(each), each).toBeUndefined();
  });
  it("names every wrong one of a list, and keeps the right ones in its example", () => {
    const list = ["https://a.example.org", "b.example.org", "https://C.example.org", "*"];
    expect(is.origins(list)).toMatch(
      /"b.example.org" has no scheme, and not an origin: "https:\/\/C.example.org" has capitals.*"\*"/,
    );
    expect(is.suggestedOrigins(list)).toBe("https://a.example.org,https://b.example.org,https://c.example.org");
  });
});

describe("quantityMillis", () => {
  it.each([
    ["500m", 500],
    ["1", 1000],
    ["0.5", 500],
    ["2.125", 2125],
  ])("reads %s", (text, millis) => expect(is.quantityMillis(text)).toBe(millis));
  it.each(["", "1 core", "-1", "1Gi", "0.0001", "0.5m"])("refuses %j", (text) =>
    expect(is.quantityMillis(text)).toBeUndefined(),
  );
});

describe("nearest", () => {
  it("finds a misspelt key and no far one", () => {
    expect(is.nearest("natsPasword", ["natsPassword", "natsUser"])).toBe("natsPassword");
    expect(is.nearest("colour", ["natsPassword", "natsUser"])).toBeUndefined();
  });
});
