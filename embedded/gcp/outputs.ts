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

/** Id and further outputs of a created resource. @throws Error for a type that is not known here. */
export function created(type: string, inputs: Values, controlPlane = CONTROL_PLANE): { id: string; outputs: Values } {
  const project = text(inputs.project);
  const name = text(inputs.name);
  switch (type) {
    case "gcp:projects/service:Service":
      return { id: `${project}/${text(inputs.service)}`, outputs: {} };
    case "gcp:compute/network:Network":
      return { id: `projects/${project}/global/networks/${name}`, outputs: {} };
    case "gcp:compute/subnetwork:Subnetwork":
      return { id: `projects/${project}/regions/${text(inputs.region)}/subnetworks/${name}`, outputs: {} };
    case "gcp:compute/router:Router":
      return { id: `projects/${project}/regions/${text(inputs.region)}/routers/${name}`, outputs: {} };
    case "gcp:compute/routerNat:RouterNat":
      return { id: `${project}/${text(inputs.region)}/${text(inputs.router)}/${name}`, outputs: {} };
    case "gcp:compute/firewall:Firewall":
      return { id: `projects/${project}/global/firewalls/${name}`, outputs: {} };
    case "gcp:compute/address:Address":
      return {
        id: `projects/${project}/regions/${text(inputs.region)}/addresses/${name}`,
        outputs: { address: "203.0.113.20" },
      };
    case "gcp:compute/globalAddress:GlobalAddress":
      return {
        id: `projects/${project}/global/addresses/${name}`,
        outputs: { address: inputs.purpose === "VPC_PEERING" ? "10.60.0.0" : "203.0.113.30" },
      };
    case "gcp:serviceaccount/account:Account": {
      const email = `${text(inputs.accountId)}@${project}.iam.gserviceaccount.com`;
      const full = `projects/${project}/serviceAccounts/${email}`;
      return { id: full, outputs: { email, name: full, member: `serviceAccount:${email}` } };
    }
    case "gcp:container/cluster:Cluster":
      return {
        id: `projects/${project}/locations/${text(inputs.location)}/clusters/${name}`,
        outputs: {
          endpoint: controlPlane.endpoint,
          masterAuth: { clusterCaCertificate: controlPlane.caCertificate },
          masterVersion: "1.34.4-gke.1047000",
        },
      };
    case "gcp:artifactregistry/repository:Repository":
      return {
        id: `projects/${project}/locations/${text(inputs.location)}/repositories/${text(inputs.repositoryId)}`,
        outputs: { name: text(inputs.repositoryId) },
      };
    case "gcp:sql/databaseInstance:DatabaseInstance":
      return {
        id: name,
        outputs: { connectionName: `${project}:${text(inputs.region)}:${name}`, privateIpAddress: "10.60.0.3" },
      };
    case "gcp:sql/database:Database":
      return { id: `projects/${project}/instances/${text(inputs.instance)}/databases/${name}`, outputs: {} };
    case "gcp:sql/user:User":
      return { id: `${name}//${text(inputs.instance)}`, outputs: {} };
    case "gcp:servicenetworking/connection:Connection":
      return { id: `${text(inputs.network)}:${text(inputs.service)}`, outputs: {} };
    case "gcp:dns/recordSet:RecordSet":
      return { id: `projects/${project}/managedZones/${text(inputs.managedZone)}/rrsets/${name}/A`, outputs: {} };
    case "gcp:projects/iAMMember:IAMMember":
    case "gcp:iap/webIamMember:WebIamMember":
      return { id: `${project}/${text(inputs.role)}/${text(inputs.member)}`, outputs: { etag: "BwY=" } };
    case "gcp:serviceaccount/iAMMember:IAMMember":
      return {
        id: `${text(inputs.serviceAccountId)}/${text(inputs.role)}/${text(inputs.member)}`,
        outputs: { etag: "BwY=" },
      };
    case "gcp:artifactregistry/repositoryIamMember:RepositoryIamMember":
      return {
        id: `${project}/${text(inputs.repository)}/${text(inputs.role)}/${text(inputs.member)}`,
        outputs: { etag: "BwY=" },
      };
    default:
      throw new Error(`no outputs are known for resources of type ${type}`);
  }
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
    case "gcp:compute/getAddress:getAddress":
      return { ...args, address: "203.0.113.40", id: "a", selfLink: "a", status: "RESERVED" };
    case "gcp:compute/getGlobalAddress:getGlobalAddress":
      return { ...args, address: "203.0.113.50", id: "a", selfLink: "a", status: "RESERVED" };
    default:
      throw new Error(`no result is known for the function ${token}`);
  }
}
