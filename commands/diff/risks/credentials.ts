/** Credentials that change, that everybody can read, or that nobody is asked for. */
import { isCredential } from "../../shared/mask";
import { SHOWN } from "../../shared/placeholders";
import { at, danger, kindOf, nameOfPath, objectName, resourceName, typeOf, warning, type RiskRule } from "./facts";

export const CREDENTIAL_RULES: readonly RiskRule[] = [
  {
    id: "credential-rotation",
    warns: "a changed credential",
    find: ({ resources, objects, settings }) => {
      const settingNames = settings
        .filter(({ old, new: now }) => old === SHOWN.secret || now === SHOWN.secret)
        .map(({ key }) => key);
      const drawn = resources
        .filter((delta) => typeOf(delta).endsWith(":RandomPassword") && delta.op !== "create" && delta.op !== "delete")
        .map(resourceName);
      const secrets = objects
        .filter(({ old, new: now, changes }) => old?.kind === "Secret" && now && changes.some((c) => at(c, "data")))
        .map(objectName);
      const pods = objects.filter(({ restarts }) => restarts).map(objectName);
      const where = [
        ...(secrets.length > 0 ? [`changed Secrets: ${secrets.join(", ")}`] : []),
        pods.length > 0 ? `pods that restart: ${pods.join(", ")}` : "no pod restarts by itself",
      ].join("; ");
      const sources = [...settingNames, ...drawn];
      if (sources.length === 0 && secrets.length === 0) return [];
      return [
        warning(
          sources.join(", ") || "Secrets",
          `credentials change: clients with the old ones are refused until they restart (${where}).`,
        ),
      ];
    },
  },
  {
    id: "plain-credential",
    warns:
      "a credential in plain text in a ConfigMap or a container's environment, a known one wherever it stands outside a Secret",
    find: ({ objects, masker }) =>
      objects
        .filter((delta) => kindOf(delta) !== "Secret")
        .flatMap((delta) =>
          delta.changes
            .filter(({ op, path, new: value }) => {
              if (op === "remove" || (typeof value !== "string" && typeof value !== "number")) return false;
              const text = String(value);
              const inUrl = /:\/\/[^\s/:@]*:[^\s/@$]+@/.test(text);
              const named = isCredential(nameOfPath(path), text);
              const isData = path[0] === "data" || path.some((step) => step === "env" || step === "args");
              // A known secret is one wherever it stands, whatever a chart has made of it.
              return (isData && (named || inUrl)) || masker.holdsSecret(text);
            })
            .map(({ path }) =>
              danger(
                objectName(delta),
                `${nameOfPath(path)} holds a credential in plain text: everybody who may read the object can read it; move it to a Secret.`,
              ),
            ),
        ),
  },
  {
    id: "accepted-risk",
    warns: "a risk that the stack takes knowingly from now on (acceptedRisks)",
    find: ({ settings }) =>
      settings
        .filter(({ key, new: now }) => key === "acceptedRisks" && now !== undefined)
        .map(({ old, new: now }) =>
          danger(
            "acceptedRisks",
            `what is refused otherwise is taken knowingly: ${old ?? "nothing"} before, ${now} now.`,
          ),
        ),
  },
  {
    id: "authentication-off",
    warns: "a gateway without authentication",
    find: ({ objects }) =>
      objects.flatMap((delta) =>
        delta.changes
          .filter(
            ({ path, op, new: now }) =>
              op !== "remove" && nameOfPath(path) === "GATEWAY_AUTH_BYPASS" && String(now) === "true",
          )
          .map(() =>
            danger(
              objectName(delta),
              "GATEWAY_AUTH_BYPASS is true: everybody who reaches the gateway may do everything.",
            ),
          ),
      ),
  },
];
