import { describe, expect, it } from "vitest";
import { parseSettings, shownDefault } from "../../config/parse";
import { SETTINGS, type SettingKey } from "../../config/schema";
import { readProject, tableRows } from "../support/markdown";

const section = readProject("README.md").split("\n## Settings\n")[1]?.split("\n## ")[0] ?? "";
const rows = tableRows(section).map(
  ([key = "", stated = ""]) => [key.replaceAll("`", "") as SettingKey, stated] as const,
);

describe("the settings of README.md", () => {
  it("are ten", () => expect(rows).toHaveLength(10));

  it.each(rows)("%s has the default %s", (key, stated) => {
    expect(SETTINGS).toHaveProperty(key);
    const [here, onGke] = [
      parseSettings({})[key],
      parseSettings({ platform: "gke", projectId: "acme-noetl" })[key],
    ].map((value) => JSON.stringify(value));
    const code = [...stated.matchAll(/`([^`]+)`/g)].map(([, value]) => value);
    if (/ on GKE, else /.test(stated)) {
      const [gke = "", other = ""] = stated.replaceAll("`", "").split(" on GKE, else ");
      expect([onGke, here]).toEqual(
        [gke, other].map((value) => JSON.stringify(/^\d+$/.test(value) ? Number(value) : value)),
      );
    } else if (code.length > 0) {
      expect([shownDefault(key), onGke]).toEqual([code[0], here]);
    } else if (stated === "localhost") {
      expect(SETTINGS.corsAllowedOrigins.default.every((origin) => origin.startsWith("http://localhost:"))).toBe(true);
    } else {
      expect([shownDefault(key), stated]).toEqual(["", expect.stringMatching(/^(generated|)$/) as string]);
    }
  });
});
