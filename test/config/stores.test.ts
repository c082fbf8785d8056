import { describe, expect, it } from "vitest";
import { parseSettings } from "../../config/parse";
import { storeWarnings } from "../../config/stores";
import { fileStoreLimit } from "../../contract/nats/file-store";

describe("what a preview says of a volume that NoETL's object store does not fit into", () => {
  it.each<[string, Record<string, string>, RegExp[]]>([
    ["nothing of the default", {}, []],
    [
      "how large it has to be",
      { natsJetstreamFileSize: "1Gi" },
      [/^natsJetstreamFileSize: 1Gi leaves .* 921Mi, .* At least 1138Mi;/],
    ],
    ["the same of its other name", { natsJetstreamSize: "1137Mi" }, [/^natsJetstreamSize: 1137Mi leaves .* 1023Mi,/]],
    ["nothing of one that is just enough", { natsJetstreamFileSize: "1138Mi" }, []],
    ["nothing of a NoETL that reserves none", { natsJetstreamFileSize: "1Gi", noetlLine: "rust" }, []],
    ["nothing without NoETL", { natsJetstreamFileSize: "1Gi", deployNoetl: "false" }, []],
  ])("%s", (_, raw, expected) =>
    expect(storeWarnings(parseSettings(raw))).toEqual(expected.map((each) => expect.stringMatching(each) as string)),
  );

  it("names a volume that leaves room for it", () => expect(fileStoreLimit("1138Mi")).toBe("1024Mi"));
});
