/** More stacks of the kinds of bad-stacks.ts: what a reviewer of commands, volumes, packed files and roles has to know. */
import * as zlib from "node:zlib";
import { type BadStack, CANARY, configMap, deployment, type Example, k8s } from "./bad-stacks";

const CREDENTIALS = "no-plaintext-credentials";
const RIGHTS = "no-cluster-admin";
const base64 = (text: string): string => Buffer.from(text).toString("base64");
const packed = (text: string): string => zlib.gzipSync(text).toString("base64");

const shell = (script: string): Example => deployment({ command: ["sh", "-c", script] });
const role = (rule: object, kind = "ClusterRole"): Example =>
  k8s(`rbac.authorization.k8s.io/v1:${kind}`, { rules: [{ apiGroups: ["*"], ...rule }] });

/** Commands of a shell with a credential in them. */
const SCRIPTS: Readonly<Record<string, string>> = {
  "mysql's password, attached": `mysql -u root -p${CANARY} -h db`,
  "mariadb-dump's": `mariadb-dump -uroot -p'${CANARY}' noetl > x`,
  "docker's login": `docker login -u noetl -p ${CANARY} ghcr.io`,
  "helm's login at a registry": `helm registry login ghcr.io -u noetl -p ${CANARY}`,
  "mysql's password behind what starts it": `kubectl exec db-0 -- /opt/mysql/mysql -px -p${CANARY}`,
  "mysql's password in another's name": `MYSQL_HOST=db sudo -E mysqladmin -p${CANARY} ping`,
  "mysql's password behind a path": `until "$BIN"/mysql -p${CANARY}; do sleep 1; done`,
  "mysql's password by a program's folder": `timeout 5 /opt/mysql/bin/mysql -p${CANARY}`,
  "mysql's password in a container": `docker exec --name x mysql mysql -p${CANARY}`,
  "docker's login with an option before it": `/usr/bin/docker --config /x login -p ${CANARY}`,
  "sshpass with another option before it": `sshpass -v -P 'a word' -p${CANARY} ssh x`,
  sshpass: `sshpass -p ${CANARY} ssh noetl@db`,
  mongosh: `mongosh -u noetl -p ${CANARY} --eval 1`,
  ldapsearch: `ldapsearch -x -D cn=noetl -w ${CANARY}`,
  openssl: `openssl rsa -passin pass:${CANARY} -in key.pem`,
  smbclient: `smbclient -U noetl%${CANARY} //server/share`,
  "a Secret made by a command": `kubectl create secret generic db --from-literal=password=${CANARY}`,
  "curl's header of another name": `curl -H 'X-Api-Key: ${CANARY}' http://x`,
  "curl's header of GitLab": `curl --header "PRIVATE-TOKEN: ${CANARY}" http://x`,
  "curl's header of a login": `curl -H 'authorization: token ${CANARY}' http://x`,
  "curl's header without a scheme": `curl -H "Authorization: token-${CANARY}" http://x`,
  "curl's bearer": `curl --oauth2-bearer ${CANARY} http://x`,
  "a password that is piped": `echo ${CANARY} | docker login -u noetl --password-stdin`,
  "base64 that the command decodes": `echo ${base64(CANARY)} | base64 -d > /run/password`,
  "base64 that printf hands over": `printf '%s' "${base64(CANARY)}" | base64 --decode > /run/password`,
  "base64 in a here-string": `PASS_FILE=$(base64 -d <<< ${base64(CANARY)})`,
};

const inCommands: BadStack[] = [
  ...Object.entries(SCRIPTS).map(([title, script]) => ({
    title,
    rule: CREDENTIALS,
    says: /command\[2\] holds a credential/,
    stack: [shell(script)],
  })),
  {
    title: "an option in the command and its value in the arguments",
    rule: CREDENTIALS,
    says: /args\[3\] holds/,
    stack: [deployment({ command: ["docker"], args: ["login", "ghcr.io", "-p", CANARY] })],
  },
  {
    title: "redis-cli in a probe",
    rule: CREDENTIALS,
    says: /livenessProbe\.exec\.command\[2\] holds/,
    stack: [deployment({ livenessProbe: { exec: { command: ["redis-cli", "-a", CANARY, "ping"] } } })],
  },
  {
    title: "a property of Kafka's client",
    rule: CREDENTIALS,
    says: /args\[1\] holds/,
    stack: [deployment({ args: ["-X", `sasl.password=${CANARY}`] })],
  },
  {
    title: "a configuration in base64 as an argument",
    rule: CREDENTIALS,
    says: /args\[1\] holds/,
    stack: [deployment({ args: ["--config", base64(JSON.stringify({ db: { password: CANARY } }))] })],
  },
];

const file = (title: string, says: RegExp, data: object, more: object = {}): BadStack => ({
  title,
  rule: CREDENTIALS,
  says,
  stack: [configMap(data, more)],
});

const inFiles: BadStack[] = [
  file(
    "a packed file",
    /binaryData\.app\.conf\.gz assigns/,
    {},
    {
      binaryData: { "app.conf.gz": packed(`db\npassword: ${CANARY}\n`) },
    },
  ),
  file("a packed file as text", /data\.blob assigns/, { blob: packed(`db\npassword: ${CANARY}\n`) }),
  file("a value on a line of its own", /a\.yaml assigns/, { "a.yaml": `db:\n  password:\n    ${CANARY}\n` }),
  file("the first key of a list's entry", /a\.yaml assigns/, {
    "a.yaml": `users:\n- password: ${CANARY}\n  name: noetl\n`,
  }),
  file("a text of TOML with three quotes", /a\.toml assigns/, { "a.toml": `[db]\npassword = '''${CANARY}'''\n` }),
  file("a key of PGP", /private key/, { id: `-----BEGIN PGP PRIVATE KEY BLOCK-----\n${CANARY}` }),
  file("a token of GitHub", /a token/, { x: `ghp_${"aB3".repeat(12)}` }),
  file("a token of GitLab", /a token/, { x: `glpat-${"aB3_".repeat(5)}` }),
  file("where Slack takes messages", /a token/, { x: `https://hooks.slack.com/services/T0/B0/${"a".repeat(24)}` }),
];

const inVolumes: BadStack[] = [
  {
    title: "a login of a volume's driver",
    rule: CREDENTIALS,
    says: /volumes\[0\]\.csi\.volumeAttributes\.password holds/,
    stack: [
      deployment({}, { volumes: [{ name: "a", csi: { driver: "smb", volumeAttributes: { password: CANARY } } }] }),
    ],
  },
  {
    title: "one of an older driver",
    rule: CREDENTIALS,
    says: /volumes\[0\]\.flexVolume\.options\.password holds/,
    stack: [deployment({}, { volumes: [{ name: "a", flexVolume: { options: { password: CANARY } } }] })],
  },
  {
    title: "options of a mount",
    rule: CREDENTIALS,
    says: /^spec\.mountOptions\[0\] assigns/,
    stack: [
      k8s("core/v1:PersistentVolume", {
        spec: { csi: { driver: "smb" }, mountOptions: [`dir_mode=0777,username=noetl,password=${CANARY}`] },
      }),
    ],
  },
];

/** What a rule of a ClusterRole allows, and what the policy says of it. */
const POWERS: Readonly<Record<string, readonly [object, RegExp]>> = {
  "commands in every pod": [{ resources: ["pods/exec"], verbs: ["create"] }, /pods\/exec in every namespace/],
  "the same, as a request that reads": [{ resources: ["pods/attach"], verbs: ["get"] }, /pods\/attach in every/],
  "the same, by a star": [{ resources: ["pods/*"], verbs: ["create"] }, /pods\/exec in every/],
  "the same, by the other": [{ resources: ["*/exec"], verbs: ["*"] }, /pods\/exec in every/],
  "a container put into every pod": [{ resources: ["pods/ephemeralcontainers"], verbs: ["patch"] }, /runs commands/],
  "every port of every pod": [{ resources: ["pods/portforward"], verbs: ["create"] }, /past all NetworkPolicies/],
  "every Service through the API server": [
    { resources: ["services/proxy"], verbs: ["get"] },
    /past all NetworkPolicies/,
  ],
  "tokens by a star": [{ resources: ["*/token"], verbs: ["create"] }, /serviceaccounts\/token in every/],
  "to be anybody, by every verb on users": [{ resources: ["users"], verbs: ["*"] }, /allows users in every/],
  "every verb on roles": [
    { apiGroups: ["rbac.authorization.k8s.io"], resources: ["clusterroles"], verbs: ["*"] },
    /allows escalate, bind/,
  ],
  "every verb on roles of every group": [
    { apiGroups: ["iam.example.com", "*"], resources: ["roles"], verbs: ["*"] },
    /allows escalate, bind/,
  ],
  "to give out the administrator's role by name": [
    { resources: ["clusterroles"], verbs: ["bind"], resourceNames: ["view", "cluster-admin"] },
    /allows bind/,
  ],
  "to remove everything": [{ resources: ["*"], verbs: ["deletecollection"] }, /deletecollection on every resource/],
  "everything that makes pods": [{ apiGroups: ["apps"], resources: ["*"], verbs: ["*"] }, /every verb/],
};

const inRoles: BadStack[] = [
  ...Object.entries(POWERS).map(([title, [rule, says]]) => ({ title, rule: RIGHTS, says, stack: [role(rule)] })),
  {
    title: "a role of the control plane's own",
    rule: RIGHTS,
    says: /roleRef is system:controller:/,
    stack: [
      k8s("rbac.authorization.k8s.io/v1:ClusterRoleBinding", {
        roleRef: { name: "system:controller:clusterrole-aggregation-controller" },
        subjects: [{ name: "noetl-worker" }],
      }),
    ],
  },
];

export const FURTHER_STACKS: readonly BadStack[] = [...inCommands, ...inFiles, ...inVolumes, ...inRoles];

/** Stacks that look like those. */
export const FURTHER_GOOD_STACKS: Readonly<Record<string, readonly Example[]>> = {
  "short options that are something else, and those that take a variable": [
    shell("mkdir -p /data && ssh -p 2222 a@b && psql -p 5432 && cp -pr a b && docker run -p 8080:80 nginx:1"),
    shell(
      'mysql -u root -p"$PW" -P3306; mysql -p${PW}; mysql -u root -p noetl; redis-cli -a $PW; sshpass -p "$P" ssh a',
    ),
    shell(
      'docker login -u a -p "$(cat /run/p)"; echo "$P" | docker login --password-stdin; curl -H "X-Api-Key: $KEY" x',
    ),
    shell("kubectl create secret generic a --from-literal=password=$P --from-file=token=/run/token"),
    shell("base64 -d /run/x > y; cat a | base64 -d; kubectl get secret a -o jsonpath='{.data.password}' | base64 -d"),
    shell("curl -H 'Content-Type: application/json' -H 'X-Request-Id: 12345678' http://x; ldapsearch -x -w $P"),
    ...['"Authorization: Bearer $TOKEN"', '"Authorization: Bearer ${TOKEN}"', "'Authorization: Basic '$(cat /f)"].map(
      (header) => shell(`curl -H ${header} http://x`),
    ),
    ...[
      "sshpass -e ssh -p 2222 x; sshpass -f /f ssh -p 2222 x; sshpass -f/f scp -P 2222 -p a b",
      "tar -C /var/lib/mysql -pxzf b.tgz; rsync /var/lib/mysql/ -progress /x; rsync /data/mysql -progress /x",
      "docker run --name login -p 8080:80 x; docker run -d login -p x1; helm upgrade login -p x1",
      "docker run --name mysql -p3306:3306 mysql:8; docker run --name mongo -p 27017:27017 x; podman run mongo -p 127.0.0.1:1:1",
      "kubectl exec -n mysql db-0 -- psql -p5432; cat /etc/mysql-p.cnf -px",
      "echo L3Vzci9sb2NhbC9iaW4= | base64 -d; echo aHR0cHM6Ly94LmV4YW1wbGUvYQ== | base64 -d",
    ].map(shell),
    deployment({ command: ["tar", "-C", "/var/lib/mysql"], args: ["-pxzf", "b.tgz"] }),
    shell('curl -H "Authorization: Bearer $(cat /var/run/secrets/x/token)" x; curl -H "authorization: token $GH" x'),
    shell('curl -H "Authorization: Token token=$T" x; curl -H "Authorization: ApiKey ${KEY}" x'),
    deployment({ command: ["curl", "-H", "Authorization: Bearer $(TOKEN)"] }),
    deployment({ command: ["redis-cli", "ping"], args: ["-p", "6379"] }),
  ],
  "kinds that bring a Secret along": [
    k8s("external-secrets.io/v1:ExternalSecret", {
      spec: { data: [{ secretKey: "password", remoteRef: { key: "noetl/db", property: "password" } }] },
    }),
    k8s("bitnami.com/v1alpha1:SealedSecret", {
      spec: { encryptedData: { password: "AgBy3i4OJSWK+PiTySYZZA9rO43cGDEq" } },
    }),
    k8s("secrets-store.csi.x-k8s.io/v1:SecretProviderClass", {
      spec: { secretObjects: [{ secretName: "a", data: [{ key: "password", objectName: "db-password" }] }] },
    }),
    k8s("monitoring.coreos.com/v1:ServiceMonitor", {
      spec: {
        endpoints: [
          { basicAuth: { password: { name: "a", key: "password" } }, bearerTokenFile: "/var/run/secrets/token" },
          { bearerTokenSecret: { name: "t", key: "token" } },
        ],
      },
    }),
    k8s("cert-manager.io/v1:ClusterIssuer", {
      spec: {
        acme: {
          privateKeySecretRef: { name: "acme-key" },
          solvers: [{ dns01: { cloudflare: { apiTokenSecretRef: { name: "cf", key: "api-token" } } } }],
        },
      },
    }),
    k8s("cert-manager.io/v1:Certificate", { spec: { secretName: "nats-tls", privateKey: { algorithm: "ECDSA" } } }),
  ],
  "volumes of a pod that hold tokens and Secrets": [
    deployment(
      {},
      {
        volumes: [
          { name: "a", projected: { sources: [{ serviceAccountToken: { path: "token", audience: "nats" } }] } },
          { name: "b", secret: { secretName: "db", items: [{ key: "password", path: "password" }] } },
          { name: "c", csi: { driver: "secrets-store", volumeAttributes: { secretProviderClass: "db" } } },
        ],
      },
    ),
  ],
  "roles of charts that are widely used": [
    role({ apiGroups: ["iam.example.com"], resources: ["roles", "clusterroles"], verbs: ["*"] }),
    role({ apiGroups: ["monitoring.coreos.com"], resources: ["*"], verbs: ["*"] }),
    role({ apiGroups: [""], resources: ["serviceaccounts/token"], verbs: ["create"], resourceNames: ["nats"] }),
    role({
      apiGroups: ["rbac.authorization.k8s.io"],
      resources: ["clusterroles"],
      verbs: ["bind"],
      resourceNames: ["view"],
    }),
    role({ apiGroups: ["rbac.authorization.k8s.io"], resources: ["roles", "rolebindings"], verbs: ["get", "list"] }),
    role({ apiGroups: [""], resources: ["pods", "services"], verbs: ["get", "list", "watch", "create", "delete"] }),
    role({ apiGroups: ["cert-manager.io"], resources: ["signers"], verbs: ["approve"] }),
    role({ apiGroups: [""], resources: ["pods/exec", "pods/portforward"], verbs: ["create"] }, "Role"),
    k8s("rbac.authorization.k8s.io/v1:ClusterRoleBinding", {
      roleRef: { name: "system:auth-delegator" },
      subjects: [{ name: "cert-manager-webhook" }],
    }),
  ],
  "files that refer, and one that was packed": [
    configMap({
      "a.yaml":
        "db:\n  password:\n    secretKeyRef: {name: a, key: b}\nusers:\n- password: ${PASSWORD}\n  token: <set it>\n",
      "b.yaml": 'a: {{ .Values.b }}\npassword: "{{ .Values.password }}"\n',
      "a.toml": "password = ''\n[x]\ny = '''z'''\n",
      blob: packed("nothing but words of a text, and no credential"),
    }),
  ],
};
