/**
 * What Google Cloud adds to the resources of this stack: outputs by type, as far as the program reads them. Names and
 * forms are those of the official plugin's documentation.
 */
type Values = Readonly<Record<string, unknown>>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

/** The control plane that a created cluster seems to have. */
export interface ControlPlane {
  readonly endpoint: string;
  readonly caCertificate: string;
}

export const CONTROL_PLANE: ControlPlane = { endpoint: "203.0.113.10", caCertificate: "Y2VydGlmaWNhdGU=" };

/** What is made of a resource's inputs. */
type Creation = (of: {
  readonly inputs: Values;
  readonly project: string;
  readonly name: string;
  readonly controlPlane: ControlPlane;
}) => { id: string; outputs?: Values };

const ETAG = { etag: "BwY=" };

/** Ways to a control plane, with the name that Google gives each. */
const endpoints = (asked: unknown, name: string): Values => {
  const { dnsEndpointConfig = {}, ...others } = (asked ?? {}) as { dnsEndpointConfig?: Values };
  return {
    ...others,
    dnsEndpointConfig: { ...dnsEndpointConfig, endpoint: `gke-${name}-123456789012.europe-west1.gke.goog` },
  };
};

const projectMember: Creation = ({ project, inputs: { role, member } }) => ({
  id: `${project}/${text(role)}/${text(member)}`,
  outputs: ETAG,
});

const CREATIONS: Readonly<Record<string, Creation>> = {
  "gcp:projects/service:Service": ({ project, inputs }) => ({ id: `${project}/${text(inputs.service)}` }),
  "gcp:compute/network:Network": ({ project, name }) => ({ id: `projects/${project}/global/networks/${name}` }),
  "gcp:compute/subnetwork:Subnetwork": ({ project, name, inputs }) => ({
    id: `projects/${project}/regions/${text(inputs.region)}/subnetworks/${name}`,
  }),
  "gcp:compute/router:Router": ({ project, name, inputs }) => ({
    id: `projects/${project}/regions/${text(inputs.region)}/routers/${name}`,
  }),
  "gcp:compute/routerNat:RouterNat": ({ project, name, inputs }) => ({
    id: `${project}/${text(inputs.region)}/${text(inputs.router)}/${name}`,
  }),
  "gcp:compute/firewall:Firewall": ({ project, name }) => ({ id: `projects/${project}/global/firewalls/${name}` }),
  "gcp:compute/address:Address": ({ project, name, inputs }) => ({
    id: `projects/${project}/regions/${text(inputs.region)}/addresses/${name}`,
    outputs: { address: "203.0.113.20" },
  }),
  "gcp:compute/globalAddress:GlobalAddress": ({ project, name, inputs }) => ({
    id: `projects/${project}/global/addresses/${name}`,
    outputs: { address: inputs.purpose === "VPC_PEERING" ? "10.60.0.0" : "203.0.113.30" },
  }),
  "gcp:serviceaccount/account:Account": ({ project, inputs }) => {
    const email = `${text(inputs.accountId)}@${project}.iam.gserviceaccount.com`;
    const full = `projects/${project}/serviceAccounts/${email}`;
    return { id: full, outputs: { email, name: full, member: `serviceAccount:${email}` } };
  },
  "gcp:container/cluster:Cluster": ({ project, name, inputs, controlPlane }) => ({
    id: `projects/${project}/locations/${text(inputs.location)}/clusters/${name}`,
    outputs: {
      endpoint: controlPlane.endpoint,
      masterAuth: { clusterCaCertificate: controlPlane.caCertificate },
      masterVersion: "1.34.4-gke.1047000",
      controlPlaneEndpointsConfig: endpoints(inputs.controlPlaneEndpointsConfig, name),
    },
  }),
  "gcp:compute/sSLPolicy:SSLPolicy": ({ project, name }) => ({ id: `projects/${project}/global/sslPolicies/${name}` }),
  "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": ({ inputs }) => ({
    id: `${text(inputs.cryptoKeyId)}/${text(inputs.role)}/${text(inputs.member)}`,
    outputs: ETAG,
  }),
  "gcp:artifactregistry/repository:Repository": ({ project, inputs }) => ({
    id: `projects/${project}/locations/${text(inputs.location)}/repositories/${text(inputs.repositoryId)}`,
    outputs: { name: text(inputs.repositoryId) },
  }),
  "gcp:sql/databaseInstance:DatabaseInstance": ({ project, name, inputs }) => ({
    id: name,
    outputs: { connectionName: `${project}:${text(inputs.region)}:${name}`, privateIpAddress: "10.60.0.3" },
  }),
  "gcp:sql/database:Database": ({ project, name, inputs }) => ({
    id: `projects/${project}/instances/${text(inputs.instance)}/databases/${name}`,
  }),
  "gcp:sql/user:User": ({ name, inputs }) => ({ id: `${name}//${text(inputs.instance)}` }),
  "gcp:servicenetworking/connection:Connection": ({ inputs }) => ({
    id: `${text(inputs.network)}:${text(inputs.service)}`,
  }),
  "gcp:dns/recordSet:RecordSet": ({ project, name, inputs }) => ({
    id: `projects/${project}/managedZones/${text(inputs.managedZone)}/rrsets/${name}/A`,
  }),
  "gcp:projects/iAMMember:IAMMember": projectMember,
  "gcp:iap/webIamMember:WebIamMember": projectMember,
  "gcp:serviceaccount/iAMMember:IAMMember": ({ inputs }) => ({
    id: `${text(inputs.serviceAccountId)}/${text(inputs.role)}/${text(inputs.member)}`,
    outputs: ETAG,
  }),
  "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember": ({ project, inputs }) => ({
    id: `${project}/${text(inputs.repository)}/${text(inputs.role)}/${text(inputs.member)}`,
    outputs: ETAG,
  }),
};

/** Id and further outputs of a created resource. @throws Error for a type that is not known here. */
export function created(type: string, inputs: Values, controlPlane = CONTROL_PLANE): { id: string; outputs: Values } {
  const creation = CREATIONS[type];
  if (!creation) throw new Error(`no outputs are known for resources of type ${type}`);
  const { id, outputs = {} } = creation({
    inputs,
    project: text(inputs.project),
    name: text(inputs.name),
    controlPlane,
  });
  return { id, outputs };
}

/** Result of a function. @throws Error for one that is not known here. */
export function called(token: string, args: Values): Values {
  switch (token) {
    case "gcp:organizations/getClientConfig:getClientConfig":
      return {
        accessToken: "canary-access-token",
        project: "acme-noetl",
        region: "europe-west1",
        zone: "",
        id: "acme",
      };
    case "gcp:organizations/getProject:getProject":
      return { ...args, number: "123456789012", id: "projects/acme-noetl", name: "acme" };
    case "gcp:compute/getAddress:getAddress":
      return { ...args, address: "203.0.113.40", id: "a", selfLink: "a", status: "RESERVED" };
    case "gcp:compute/getGlobalAddress:getGlobalAddress":
      return { ...args, address: "203.0.113.50", id: "a", selfLink: "a", status: "RESERVED" };
    default:
      throw new Error(`no result is known for the function ${token}`);
  }
}
