/**
 * The provider behind {@link NatsCertificate}, as an ordinary compiled module: the state holds only a stub that loads it, as that
 * of `StreamContract` does.
 *
 * `generated` makes an authority and a certificate, renews them (`renewal.ts`), and writes the certificate into a Secret in place,
 * which nats-server reads again without a restart. `secret` waits for a Secret that somebody else keeps, and refuses what clients
 * could not use. Both write the authorities, and no key, into a Secret of their own, from which nats-box has them.
 */
import { isDeepStrictEqual } from "node:util";
import type * as pulumi from "@pulumi/pulumi";
import { Deadline, inSeconds } from "../../../contract/deadline";
import { clusterAccess } from "../../../contract/kubernetes/api";
import { applySecret, readSecret } from "../../../contract/kubernetes/objects";
import type { ClusterAccess } from "../../../contract/kubernetes/kubeconfig";
import { kubectlTo } from "../../../contract/kubernetes/kubectl";
import { certificateFacts, problemsInUse, certificatesIn, dayOf, TLS_FILES } from "../../../contract/nats/certificate";
import { connectionOf, given, LOOK_SECONDS, liveChanges } from "../kept-secret";
import { makeAuthority, makeCertificate, type Made } from "./make";
import { due, endOf, LIVES, type Kept, type KeptCertificate, type Lifetime } from "./renewal";

/** What the stub's resource passes on. */
export interface CertificateInputs {
  readonly source: "generated" | "secret";
  readonly namespace: string;
  /** Secret with certificate, key and authorities, as the servers mount it. */
  readonly secretName: string;
  /** Secret with the authorities alone. */
  readonly authorityName: string;
  /** Names that clients connect by. */
  readonly names: readonly string[];
  /** Names that servers of a cluster connect to one another by; empty of a lone one. */
  readonly routeNames: readonly string[];
  readonly kubeconfig?: string;
  readonly context?: string;
  /** How long a Secret of somebody else is waited for, in seconds. */
  readonly timeoutSeconds: number;
}

/** Authority and certificate with their keys; a secret. */
interface Stored {
  readonly authorities: readonly (Lifetime & Made)[];
  readonly certificate: KeptCertificate & Made;
}

/** What the state holds. */
export interface CertificateState extends CertificateInputs {
  /** Authorities that clients trust, PEM. */
  readonly ca: string;
  /** End of the servers' certificate, ISO 8601. */
  readonly ends: string;
  readonly stored?: Stored;
  /** What a refresh found; no program gives it, so that the next update removes it. */
  readonly drift?: string;
}

const INPUTS = [
  "source",
  "namespace",
  "secretName",
  "authorityName",
  "names",
  "routeNames",
  "kubeconfig",
  "context",
  "timeoutSeconds",
] as const;

/** How long one question of an update to the Kubernetes API may take, in seconds. */
const QUESTION_SECONDS = 15;

const inputsOf = (news: object): CertificateInputs => given(INPUTS, news) as unknown as CertificateInputs;

export const check = (_olds: object, news: object): pulumi.dynamic.CheckResult<CertificateInputs> => ({
  inputs: inputsOf(news),
});

const allNames = ({ names, routeNames }: CertificateInputs): string[] => [...names, ...routeNames];

/** What is kept, without what is secret. */
const keptOf = (stored: Stored | undefined): Kept => ({
  authorities: stored?.authorities ?? [],
  ...(stored ? { certificate: stored.certificate } : {}),
});

/** It changes where an input differs, something is due, or the Secret is not as it was left. */
export async function diff(olds: object, news: object, now = new Date()): Promise<pulumi.dynamic.DiffResult> {
  const [before, after] = [olds as CertificateState & Record<string, unknown>, news as Record<string, unknown>];
  const differs = [...INPUTS, "drift", "__provider"].some((name) => !isDeepStrictEqual(before[name], after[name]));
  if (differs) return { changes: true };
  if (before.source === "generated" && due(keptOf(before.stored), now, allNames(before)).why.length > 0) {
    return { changes: true };
  }
  return liveChanges(async () => (await difference(before)) !== undefined);
}

/** How the live Secrets differ from what the state has, in words without a credential. */
async function difference(state: CertificateState): Promise<string | undefined> {
  const access = await clusterAccess(connectionOf(state));
  const { namespace, secretName, authorityName } = state;
  const read = (name: string) => readSecret(access, { namespace, name, seconds: LOOK_SECONDS });
  const [files, authority] = await Promise.all([read(secretName), read(authorityName)]);
  if (files === undefined) return `Secret ${secretName} is missing`;
  if (authority?.[TLS_FILES.authority] !== state.ca) return `Secret ${authorityName} holds other authorities`;
  const wanted = state.stored?.certificate.cert;
  if (wanted !== undefined && files[TLS_FILES.certificate] !== wanted)
    return `Secret ${secretName} holds another certificate`;
  return files[TLS_FILES.authority] === state.ca ? undefined : `Secret ${secretName} holds other authorities`;
}

/** What is to be in the Secrets, and in the state. */
interface Settled {
  readonly state: CertificateState;
  /** Undefined where somebody else keeps the Secret. */
  readonly files?: Readonly<Record<string, string>>;
}

async function settle(inputs: CertificateInputs, before: Stored | undefined, now: Date): Promise<CertificateState> {
  const access = await clusterAccess(connectionOf(inputs));
  const { state, files } =
    inputs.source === "generated" ? generated(inputs, before, now) : await provided(inputs, access, now);
  const { namespace, secretName, authorityName } = inputs;
  const authority = { namespace, name: authorityName, data: { [TLS_FILES.authority]: state.ca } };
  // Whoever is to trust an authority hears of it before a certificate of it is shown.
  await applySecret(access, authority, QUESTION_SECONDS);
  if (files) await applySecret(access, { namespace, name: secretName, data: files }, QUESTION_SECONDS);
  return state;
}

/** What is made, or kept where nothing is due. */
export function generated(inputs: CertificateInputs, before: Stored | undefined, now: Date): Settled {
  const names = allNames(inputs);
  const { stay, newAuthority, signer, newCertificate } = due(keptOf(before), now, names);
  const kept = (before?.authorities ?? []).filter(({ from }) => stay.includes(from));
  const authorities = newAuthority ? [...kept, newAuthorityAt(now)] : kept;
  const by = authorities.find(({ from }) => from === signer) ?? authorities.at(-1);
  if (!by) throw new Error("there is no authority to sign with");
  const certificate = newCertificate || !before ? newCertificateAt(now, names, by) : before.certificate;
  const ca = authorities.map(({ cert }) => cert).join("");
  const { certificate: crt, key, authority } = TLS_FILES;
  return {
    state: { ...inputs, ca, ends: certificate.to, stored: { authorities, certificate } },
    files: { [crt]: certificate.cert, [key]: certificate.key, [authority]: ca },
  };
}

function newAuthorityAt(now: Date): Lifetime & Made {
  const to = endOf(now, LIVES.authority);
  const made = makeAuthority(`NATS of NoETL, ${dayOf(now)}`, { from: now, to });
  return { ...made, from: now.toISOString(), to: to.toISOString() };
}

function newCertificateAt(now: Date, names: readonly string[], by: Lifetime & Made): KeptCertificate & Made {
  const to = endOf(now, LIVES.certificate, by);
  const made = makeCertificate(names, by, { from: now, to });
  return { ...made, names, from: now.toISOString(), to: to.toISOString(), signedBy: by.from };
}

/** Waits for the Secret, and looks at what it holds. @throws Error with all that is wrong with it. */
async function provided(inputs: CertificateInputs, access: ClusterAccess, now: Date): Promise<Settled> {
  const { namespace, secretName: name, routeNames } = inputs;
  const deadline = new Deadline(inputs.timeoutSeconds * 1000);
  for (;;) {
    const files = await readSecret(access, { namespace, name, seconds: QUESTION_SECONDS });
    if (files) {
      const names = allNames(inputs);
      const problems = await problemsInUse({ files, names, isForRoutes: routeNames.length > 0, now });
      if (problems.length > 0) throw new Error(`the Secret ${namespace}/${name} ${problems.join("; it ")}`);
      const ca = files[TLS_FILES.authority] ?? "";
      const [leaf] = certificatesIn(files[TLS_FILES.certificate] ?? "");
      return { state: { ...inputs, ca, ends: leaf ? certificateFacts(leaf).to.toISOString() : "" } };
    }
    if (deadline.remaining() === 0) throw new Error(missingWords(inputs));
    await deadline.pause(1000);
  }
}

/** The command names the cluster: it writes a private key. */
const missingWords = ({ namespace, secretName, timeoutSeconds, ...cluster }: CertificateInputs): string =>
  `waited ${inSeconds(timeoutSeconds * 1000)} for Secret ${namespace}/${secretName} with the certificate of NATS (natsTlsSecret). Make it, for example ` +
  `${kubectlTo(cluster)} -n ${namespace} create secret generic ${secretName} --from-file=tls.crt --from-file=tls.key --from-file=ca.crt, ` +
  "and run the update again: it goes on from here";

export async function create(inputs: object, now = new Date()): Promise<pulumi.dynamic.CreateResult<CertificateState>> {
  const outs = await settle(inputsOf(inputs), undefined, now);
  return { id: `${outs.namespace}/${outs.secretName}`, outs };
}

export async function update(
  olds: object,
  news: object,
  now = new Date(),
): Promise<pulumi.dynamic.UpdateResult<CertificateState>> {
  return { outs: await settle(inputsOf(news), (olds as CertificateState).stored, now) };
}

/** What is there now; a Secret that is gone or was changed by hand is a difference, which the next update removes. */
export async function read(id: string, properties: object): Promise<pulumi.dynamic.ReadResult> {
  const { drift: _drift, ...state } = properties as CertificateState;
  const found = await difference(state);
  return { id, props: found === undefined ? state : { ...state, drift: found } };
}
