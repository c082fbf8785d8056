import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { stableJson } from "../../contract/stable-json";
import { reversed } from "../support/reversed";

describe("JSON for digests", () => {
  it("has one text for one content, however its keys were written", () =>
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(stableJson(reversed(value))).toBe(stableJson(value));
        expect(JSON.parse(stableJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    ));

  it("keeps the order of lists, and leaves out what is undefined", () => {
    expect(stableJson({ b: [2, 1], a: undefined, c: { z: 1, y: null } })).toBe('{"b":[2,1],"c":{"y":null,"z":1}}');
    expect(stableJson([1, 2])).not.toBe(stableJson([2, 1]));
  });
});
