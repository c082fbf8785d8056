import { LOCATIONS } from "../../../contract/facts";
import type { Evidence, GatewayFacts, ProbeFacts } from "../evidence";
import { finding, keyOf, run, say, type DiagnosisRule, type Explained, type Finding, type Step } from "./finding";
import { keyOfService } from "./services";
import { setAndUpdate, update } from "./update";

/** Longest answer that is shown, in characters: NoETL's own error stands at the end of the gateway's. */
const LONGEST_WORDS = 1_000;

const answersOf = (probes: GatewayFacts["probes"]): ProbeFacts[] =>
  probes.flatMap((each) => (each.ok ? [each.value] : []));

/** Why questions went without an answer, each reason once whatever was asked. */
const silenceOf = (probes: GatewayFacts["probes"]) => {
  const failures = probes.flatMap((each) => (each.ok || each.problem === "forbidden" ? [] : [each]));
  const reasons = failures.map(({ message }) => message.replace(/ to (answer )?(OPTIONS|GET|POST) [^\s:,]+/, ""));
  return { reasons: [...new Set(reasons)], problem: failures[0]?.problem };
};

const describeProbe = ({ by, request, status, allowOrigin, answeredBy, body }: ProbeFacts): string => {
  const who = answeredBy === undefined ? "" : ` from ${answeredBy}`;
  const words = body.trim().replace(/\s*\n\s*/g, " ");
  return (
    `${by}: ${request} gets ${status}${who}, ` +
    (allowOrigin === undefined ? "without access-control-allow-origin" : `access-control-allow-origin ${allowOrigin}`) +
    (status >= 400 && words !== ""
      ? `: ${words.length > LONGEST_WORDS ? `${words.slice(0, LONGEST_WORDS)}...` : words}`
      : "")
  );
};

const lets = ({ origin }: GatewayFacts, { allowOrigin }: ProbeFacts): boolean =>
  allowOrigin === "*" || allowOrigin === origin;

/**
 * A page whose origin is not allowed, and error answers without CORS headers: the browser reports both as the same
 * `Failed to fetch`. What the gateway's pod answers and what arrives outside tells whose answer it is.
 */
export const cors: DiagnosisRule = (evidence, explained) => {
  const { gateway } = evidence;
  if (!gateway) return [];
  const inside = answersOf(gateway.probes);
  const outside = answersOf(gateway.outside);
  const findings = [
    ...originFinding(evidence, gateway, inside),
    ...backendFinding(evidence, { gateway, inside }, explained),
  ];
  // What stands in front only passes on what the gateway answers; it is looked at where its own answer differs.
  return [
    ...findings,
    ...proxyFinding(evidence, { gateway, inside, outside }),
    ...silence(gateway, explained),
    ...publicSilence(evidence, gateway, inside),
  ];
};

/** The preflight of the gateway itself does not let the origin through. */
function originFinding(facts: Evidence, gateway: GatewayFacts, inside: readonly ProbeFacts[]): Finding[] {
  const preflight = inside.find(({ request }) => request.startsWith("OPTIONS"));
  if (!preflight || lets(gateway, preflight) || preflight.status >= 500) return [];
  const { origin, allowedOrigins } = gateway;
  const allowed = allowedOrigins.includes(origin);
  const evidence = [describeProbe(preflight), `the stack allows ${allowedOrigins.join(", ")}`];
  if (allowed) {
    return [
      finding("cors-origin", `The gateway does not let ${origin} through, which the stack allows`, {
        symptoms: ["cors"],
        evidence,
        remedy: [
          say("Its pods run with other settings: an update brings the stack's, and a restart makes them read."),
          update(facts),
        ],
        explains: ["gateway"],
      }),
    ];
  }
  return [
    finding("cors-origin", `The page's origin ${origin} is not among those that the gateway allows`, {
      symptoms: ["cors"],
      evidence,
      remedy: [
        say("Allow it, scheme and port included, exactly as the browser's address bar has it:"),
        ...setAndUpdate(facts, { corsAllowedOrigins: [...allowedOrigins, origin].join(",") }),
      ],
    }),
  ];
}

/** What the gateway answered, asked in its pod and at its public URL. */
interface Probed {
  readonly gateway: GatewayFacts;
  readonly inside: readonly ProbeFacts[];
  readonly outside: readonly ProbeFacts[];
}

/** The gateway itself answers with a server error: by itself the consequence of a server that is known to be down. */
function backendFinding(
  { stack, kubectl }: Evidence,
  { gateway, inside }: Pick<Probed, "gateway" | "inside">,
  explained: Explained,
): Finding[] {
  const { namespace, serverDeployment: name } = LOCATIONS.noetl;
  const serverIsDown = explained.has(keyOf("workload", { namespace, name })) || explained.has(keyOfService("noetl"));
  const failing = inside.filter(({ status }) => status >= 500);
  if (failing.length === 0) return [];
  const unregistered = failing.every((probe) => UNREGISTERED.test(probe.body) && lets(gateway, probe));
  if (unregistered && !serverIsDown) return [signInMissing(kubectl, failing)];
  const bare = failing.some((probe) => !lets(gateway, probe));
  return [
    finding(
      bare ? "gateway-5xx-without-cors" : "gateway-5xx",
      bare
        ? "The gateway answers with a server error that lacks CORS headers, which a browser reports as `Failed to fetch`"
        : "The gateway answers with a server error: what stands behind it does not work",
      {
        severity: serverIsDown && !bare ? "note" : "cause",
        symptoms: ["cors"],
        evidence: failing.map(describeProbe),
        remedy: [
          say("The error is what must be fixed: NoETL's server and its database, and NATS for the sessions."),
          ...(bare ? [say("A gateway image whose errors carry CORS headers shows the page the error itself.")] : []),
          run(`${kubectl} -n ${LOCATIONS.gateway.namespace} logs deploy/${LOCATIONS.gateway.deployment} --tail 50`),
          run(`npm run verify -- --stack ${stack}`),
        ],
        explains: ["gateway-backend"],
      },
    ),
  ];
}

/** What NoETL's server answers the gateway where nobody has registered the credential, or a playbook, of the sign-in. */
const UNREGISTERED = /(Credential|Playbook)[^"]{0,80}not found/i;

/** The gateway and NoETL work: what is missing is what NoETL's own set-up registers after a deployment. */
function signInMissing(kubectl: string, probes: readonly ProbeFacts[]): Finding {
  const { namespace, service, port } = LOCATIONS.noetl;
  const playbooks = "api_integration/auth0/auth0_login, auth0_validate_session, check_playbook_access";
  return finding(
    "sign-in-missing",
    "Nobody can sign in yet: NoETL does not know the gateway's credential or playbooks",
    {
      severity: "note",
      symptoms: [],
      evidence: probes.map(describeProbe),
      remedy: [
        say(
          "The gateway works. NoETL's command line registers what it signs people in with: the credential pg_auth and the playbooks " +
            `${playbooks}; then execute api_integration/auth0/provision_auth_schema once:`,
        ),
        run(`${kubectl} -n ${namespace} port-forward service/${service} ${port}`),
        run("noetl register credential --file pg_auth.json"),
        run("noetl register playbook --file auth0_login.yaml"),
      ],
      explains: ["gateway-backend"],
    },
  );
}

/** What stands in front of the gateway answers in its place, without CORS headers. */
function proxyFinding({ kubectl }: Evidence, { gateway, inside, outside }: Probed): Finding[] {
  const differing = outside.filter((probe) => {
    const same = inside.find(({ request }) => request === probe.request);
    return !lets(gateway, probe) && (same === undefined || lets(gateway, same));
  });
  if (differing.length === 0) return [];
  const requests = differing.map(({ request }) => request);
  const error = differing.some(({ status }) => status >= 500);
  return [
    finding(
      error ? "proxy-5xx-without-cors" : "proxy-without-cors",
      error
        ? "A proxy or CDN in front of the gateway answers with a server error that lacks CORS headers"
        : "A proxy or CDN in front of the gateway takes the CORS headers away",
      {
        symptoms: ["cors"],
        evidence: [...differing, ...inside.filter(({ request }) => requests.includes(request))].map(describeProbe),
        remedy: [
          say(
            error
              ? "The browser reports the missing header, not the error. See why the proxy takes the gateway for down:"
              : "Let the proxy pass the header on, and OPTIONS requests through to the gateway.",
          ),
          run(`${kubectl} -n ${LOCATIONS.gateway.namespace} describe ingress,service`),
          ...(error
            ? [
                say(
                  "Usual: its health check asks another path than /health, or its time-out is shorter than a sign-in.",
                ),
              ]
            : []),
        ],
      },
    ),
  ];
}

/** The gateway gives no answer at all although its pods are ready. */
function silence({ probes }: GatewayFacts, explained: Explained): Finding[] {
  const { reasons } = silenceOf(probes);
  if (reasons.length === 0 || explained.has("gateway")) return [];
  const answered = probes.some((each) => each.ok);
  return [
    finding(
      "gateway-silent",
      answered ? "The gateway leaves requests without an answer" : "The gateway gives no answer",
      {
        symptoms: ["cors"],
        evidence: reasons,
        remedy: [
          say(
            answered
              ? "It waits for what stands behind it: NoETL's server, NATS. A browser gives up and reports a CORS failure."
              : "What stands in front of it answers in its place, without CORS headers.",
          ),
        ],
      },
    ),
  ];
}

/** The way from outside to the gateway is broken: its pod answers, its public URL does not. */
function publicSilence({ kubectl }: Evidence, { outside }: GatewayFacts, inside: readonly ProbeFacts[]): Finding[] {
  const { reasons, problem } = silenceOf(outside);
  // A gateway that says nothing itself is reported already.
  if (reasons.length === 0 || inside.length === 0) return [];
  const at = `${kubectl} -n ${LOCATIONS.gateway.namespace}`;
  const address = run(`${at} get ingress,service`);
  const remedies: Partial<Record<NonNullable<typeof problem>, Step[]>> = {
    "host-unknown": [say("The name has no DNS record. Let one point at the address that the cluster gave:"), address],
    tls: [
      say(
        "The certificate is missing, expired or for another name. A managed one is issued, within the hour, once DNS " +
          "leads to the load balancer:",
      ),
      run(`${at} describe managedcertificate,ingress`),
    ],
  };
  return [
    finding("public-url", "The gateway answers in the cluster, and its public URL does not", {
      symptoms: ["cors"],
      evidence: reasons,
      remedy: (problem && remedies[problem]) ?? [
        say(
          "Nothing listens there, or a firewall stands before it: see the load balancer and the health of its backends.",
        ),
        address,
        run(`${at} describe ingress`),
      ],
    }),
  ];
}
