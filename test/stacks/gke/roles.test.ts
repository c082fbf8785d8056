import { describe, expect, it } from "vitest";
import { grantCondition, PROJECT_ROLES } from "../../../components/gcp/roles";
import { CONFIGURATIONS } from "../../support/gke/configurations";
import { run } from "../../support/gke/mocks";

/** A condition of IAM as Google evaluates it: which roles whoever has the role may grant. */
function allowed(condition: string): (role: string) => boolean {
  const [, list = ""] =
    /^api\.getAttribute\('iam\.googleapis\.com\/modifiedGrantsByRole', \[\]\)\.hasOnly\(\[(.*)\]\)$/.exec(condition) ??
    [];
  const roles = list.split(", ").map((role) => role.slice(1, -1));
  return (role) => roles.includes(role);
}

describe("the condition on the role of whoever deploys", () => {
  it("lets every stack grant its roles on the project, and has no role that none of them grants", async () => {
    const runs = [];
    for (const name of ["fresh-hardened", "onto-existing-cloud-sql"]) {
      const configuration = CONFIGURATIONS.find((each) => each.name === name);
      if (!configuration) throw new Error(`no configuration ${name}`);
      runs.push(await run(configuration.raw, configuration.facts));
    }
    const granted = runs.flatMap(({ declared }) =>
      declared
        .filter(({ type }) => type === "gcp:projects/iAMMember:IAMMember")
        .map(({ inputs }) => String(inputs.role)),
    );
    expect(granted.filter((role) => !allowed(grantCondition())(role))).toEqual([]);
    expect(new Set(granted)).toEqual(new Set(Object.values(PROJECT_ROLES)));
  });

  it("lets nobody become owner, editor or a granter of roles", () => {
    const may = allowed(grantCondition());
    const powerful = ["owner", "editor", "resourcemanager.projectIamAdmin", "iam.serviceAccountTokenCreator"];
    expect(powerful.filter((role) => may(`roles/${role}`))).toEqual([]);
  });
});
