/**
 * Parameters and actions of NoETL's two GKE playbooks, and what takes their place here. The table of docs/gke.md and the
 * hint for a key that was carried over from a playbook both come from this list.
 *
 * Source: noetl/ops, automation/gcp_gke/noetl_gke_fresh_stack.yaml ("fresh") and automation/iap/gcp/deploy_gke_stack.yaml
 * ("iap").
 */
import type { SettingKey } from "./schema";

export interface PlaybookParameter {
  readonly names: readonly string[];
  readonly playbook: "fresh" | "iap" | "both";
  /** Settings that take its place; none where the program has no such choice. */
  readonly keys: readonly SettingKey[];
  /** What differs, or why there is nothing to set. */
  readonly note: string;
}

const IMAGES = "Images are built and pushed by CI, before; the program deploys what exists.";
const FIXED_NAME = "Fixed name.";
const GUI = "The GUI is not part of this project.";
const CLICKHOUSE = "ClickHouse is not part of this project.";

/** Names, playbook, settings that take their place, and what differs: the fields of {@link PlaybookParameter}. */
const ROWS: readonly (readonly [
  names: string,
  playbook: PlaybookParameter["playbook"],
  keys: readonly SettingKey[],
  note?: string,
])[] = [
  ["action", "both", [], "A stack has no actions: see the table of commands."],
  ["project_id", "both", ["projectId"]],
  ["region", "both", ["region"]],
  ["cluster_name", "both", ["clusterName"]],
  ["create_cluster", "iap", ["createCluster"]],
  ["release_channel", "fresh", ["releaseChannel"]],
  ["min_global_cpu_quota", "fresh", ["minFreeCpus"], "Compared with limit minus usage, also in the region."],
  ["enforce_cpu_quota_check", "fresh", ["enforceQuotas"]],
  ["create_artifact_registry", "both", ["createArtifactRegistry"]],
  ["repository_id", "both", ["repositoryId"]],
  ["delete_cluster_on_destroy delete_cloud_sql_on_destroy", "fresh", ["deletionProtection"], "See Destroy."],
  ["build_images", "both", [], IMAGES],
  ["build_noetl_image build_gateway_image build_gui_image", "fresh", [], IMAGES],
  ["build_noetl build_noetlctl build_gateway build_worker_pool build_control_plane", "iap", [], IMAGES],
  ["docker_platform use_cloud_build", "iap", [], IMAGES],
  ["ops_repo_dir noetl_repo_dir gateway_repo_dir gui_repo_dir", "fresh", [], IMAGES],
  ["noetl_image_repository", "fresh", ["noetlImage"], "Repository and tag in one reference."],
  ["noetl_image_tag", "both", ["noetlImage"]],
  [
    "gateway_image_repository",
    "fresh",
    ["gatewayImage"],
    "Unset means NoETL's own, not the new repository, which is empty.",
  ],
  ["gateway_image_tag", "both", ["gatewayImage"]],
  ["worker_image_tag", "iap", ["noetlImage"], "Server and worker are one image."],
  ["gui_image_repository gui_image_tag", "fresh", [], GUI],
  ["deploy_nats", "iap", ["deployNats"]],
  ["deploy_noetl", "iap", ["deployNoetl"]],
  ["deploy_gateway", "iap", ["deployGateway"]],
  ["deploy_postgres", "both", ["deployPostgres"]],
  ["deploy_clickhouse", "both", [], CLICKHOUSE],
  ["clickhouse_storage_size", "fresh", [], CLICKHOUSE],
  ["clickhouse_size", "iap", [], CLICKHOUSE],
  ["gateway_public", "iap", ["exposure"], "true is load-balancer."],
  ["deploy_ingress", "fresh", ["exposure"], "true is ingress."],
  ["gateway_service_type", "fresh", ["exposure"], "LoadBalancer is load-balancer."],
  ["gateway_load_balancer_ip", "fresh", ["gatewayAddressName"], "By the reserved address's name, none hard-coded."],
  ["gateway_public_host", "fresh", ["gatewayHost"]],
  ["noetl_public_host", "fresh", ["noetlHost"]],
  ["gateway_public_url", "fresh", ["gatewayPublicUrl"], "Unset follows from gatewayHost."],
  ["gui_public_host gui_gateway_public_url gui_service_type gui_load_balancer_ip", "fresh", [], GUI],
  [
    "gateway_auth_bypass",
    "fresh",
    ["gatewayAuthBypass"],
    "Refused where the internet could use it, behind IAP until the risk is accepted.",
  ],
  [
    "bootstrap_gateway_auth auth_playbooks_dir",
    "fresh",
    [],
    "Credentials and playbooks of the login are registered with NoETL's own command, afterwards.",
  ],
  ["gateway_cors_allowed_origins", "fresh", ["corsAllowedOrigins"], "Full origins."],
  ["gateway_cors_allowed_domains", "fresh", ["corsAllowedDomains", "corsIncludeHttp"], "There over http, too."],
  ["gateway_cors_include_public_hosts", "fresh", ["corsIncludePublicHosts"]],
  ["gateway_cors_include_localhost", "fresh", ["corsIncludeLocalhost"]],
  ["postgres_password", "fresh", ["postgresPassword"], "Generated where unset, as are the next two."],
  ["noetl_password", "fresh", ["noetlPassword"]],
  ["nats_password", "fresh", ["natsPassword"]],
  ["nats_user", "fresh", ["natsUser"]],
  [
    "demo_password auth_password demo_can_read_noetl_schema",
    "fresh",
    [],
    "The demo's database and its users are not part of this project.",
  ],
  ["nats_jetstream_file_size", "fresh", ["natsJetstreamFileSize"]],
  ["nats_jetstream_size", "iap", ["natsJetstreamSize"]],
  ["nats_jetstream_mem_size", "both", ["natsJetstreamMemSize"], "Fixed at 1Gi in the playbooks."],
  ["use_cloud_sql", "fresh", ["useCloudSql"]],
  ["postgres_host", "fresh", ["postgresHost"], "Only for a server outside the stack."],
  ["postgres_port", "fresh", ["postgresPort"]],
  ["postgres_storage_size", "fresh", ["postgresStorageSize"]],
  ["postgres_size", "iap", ["postgresStorageSize"]],
  [
    "postgres_primary_cpu_request postgres_primary_cpu_limit postgres_primary_memory_request postgres_primary_memory_limit",
    "fresh",
    [],
    "250m to 1 vCPU, 512Mi to 1Gi.",
  ],
  [
    "postgres_primary_ephemeral_storage_request postgres_primary_ephemeral_storage_limit",
    "fresh",
    [],
    "Autopilot's default, 1Gi.",
  ],
  ["cloud_sql_instance_name", "fresh", ["cloudSqlInstance"]],
  ["cloud_sql_edition", "fresh", ["cloudSqlEdition"]],
  ["cloud_sql_database_version", "fresh", ["cloudSqlVersion"], "Default POSTGRES_17 instead of 15."],
  ["cloud_sql_tier", "fresh", ["cloudSqlTier"], "Default db-g1-small: the playbook's pools exceed db-f1-micro."],
  ["cloud_sql_storage_size_gb", "fresh", ["cloudSqlDiskSizeGb"]],
  ["cloud_sql_storage_type", "fresh", ["cloudSqlDiskType"], "Default SSD."],
  ["cloud_sql_availability_type", "fresh", ["cloudSqlAvailability"]],
  ["cloud_sql_deletion_protection", "fresh", ["deletionProtection"], "Default true."],
  ["cloud_sql_enable_private_ip cloud_sql_enable_public_ip", "fresh", [], "Always private, never public."],
  ["cloud_sql_private_network", "fresh", ["network"], "Always the cluster's network."],
  ["cloud_sql_private_service_range_name", "fresh", [], FIXED_NAME],
  ["cloud_sql_private_service_range_prefix_length", "fresh", ["cloudSqlRangePrefix"], "Default 20 instead of 16."],
  ["pgbouncer_enabled", "fresh", [], "Always with Cloud SQL."],
  ["pgbouncer_namespace pgbouncer_service_name", "fresh", [], FIXED_NAME],
  ["pgbouncer_replicas", "fresh", ["pgbouncerReplicas"]],
  ["pgbouncer_max_client_conn", "fresh", ["pgbouncerMaxClientConnections"]],
  ["pgbouncer_default_pool_size", "fresh", ["pgbouncerPoolSize"]],
  ["pgbouncer_min_pool_size", "fresh", ["pgbouncerMinPoolSize"]],
  ["pgbouncer_reserve_pool_size", "fresh", ["pgbouncerReservePoolSize"]],
  [
    "pgbouncer_reserve_pool_timeout pgbouncer_server_lifetime pgbouncer_server_idle_timeout",
    "fresh",
    [],
    "5, 21600 and 120 s.",
  ],
  ["pgbouncer_max_db_connections", "fresh", ["pgbouncerMaxDbConnections"], "Checked against the tier."],
  ["pgbouncer_image", "fresh", ["pgbouncerImage"]],
  ["cloud_sql_proxy_image", "fresh", ["cloudSqlProxyImage"]],
  ["cloud_sql_proxy_gsa_name cloud_sql_proxy_ksa_name cloud_sql_proxy_port", "fresh", [], FIXED_NAME],
  ["cloud_sql_proxy_egress_rule_enabled", "fresh", ["cloudSqlProxyEgressRule"]],
  [
    "cloud_sql_proxy_egress_rule_name cloud_sql_proxy_egress_priority cloud_sql_proxy_egress_port",
    "fresh",
    [],
    FIXED_NAME,
  ],
  ["noetl_worker_replicas", "fresh", ["workerReplicas"]],
  ["noetl_server_rollout_max_surge noetl_worker_rollout_max_surge", "fresh", ["rolloutMaxSurge"]],
  ["noetl_server_rollout_max_unavailable noetl_worker_rollout_max_unavailable", "fresh", ["rolloutMaxUnavailable"]],
  ["noetl_enable_worker_pool", "fresh", [], "The Rust worker pool is not part of this project."],
  ["noetl_data_persistence noetl_logs_persistence", "fresh", [], "NoETL keeps its state in Postgres and NATS."],
  ["noetl_server_postgres_pool_min_size", "fresh", ["serverPoolMinSize"]],
  ["noetl_server_postgres_pool_max_size", "fresh", ["serverPoolMaxSize"]],
  ["noetl_server_postgres_pool_max_waiting", "fresh", ["serverPoolMaxWaiting"]],
  ["noetl_server_postgres_pool_timeout_seconds", "fresh", ["serverPoolTimeoutSeconds"]],
  ["noetl_worker_postgres_pool_min_size", "fresh", ["workerPoolMinSize"]],
  ["noetl_worker_postgres_pool_max_size", "fresh", ["workerPoolMaxSize"]],
  ["noetl_worker_postgres_pool_max_waiting", "fresh", ["workerPoolMaxWaiting"]],
  ["noetl_worker_postgres_pool_timeout_seconds", "fresh", ["workerPoolTimeoutSeconds"]],
  ["noetl_worker_max_inflight_commands", "fresh", ["workerMaxInflightCommands"]],
  ["noetl_worker_max_inflight_db_commands", "fresh", ["workerMaxInflightDbCommands"]],
  ["init_noetl_schema noetl_schema_path", "iap", [], "Always, from the image that is deployed."],
];

export const PLAYBOOK_PARAMETERS: readonly PlaybookParameter[] = ROWS.map(([names, playbook, keys, note = ""]) => ({
  names: names.split(" "),
  playbook,
  keys,
  note,
}));

/** What takes the place of a playbook's parameter, for a key of that name that is unknown here. */
export function playbookHint(key: string): string | undefined {
  const found = PLAYBOOK_PARAMETERS.find(({ names, keys }) => names.includes(key) && !keys.includes(key as SettingKey));
  if (!found) return undefined;
  const keys = found.keys.length > 0 ? `it is ${found.keys.join(", ")} here` : "";
  return `of NoETL's playbooks, ${[keys, found.note.replace(/\.$/, "")].filter(Boolean).join(": ")}`;
}

export interface PlaybookAction {
  readonly action: string;
  readonly commands: readonly string[];
  readonly note: string;
}

export const PLAYBOOK_ACTIONS: readonly PlaybookAction[] = [
  {
    action: "provision",
    commands: [
      "pulumi config set deployNats false",
      "pulumi config set deployNoetl false",
      "pulumi config set deployGateway false",
      "pulumi config set exposure internal",
      "pulumi config rm gatewayHost",
      "pulumi config rm dnsZone",
      "pulumi up",
    ],
    note: "The platform alone: APIs, network, cluster, registry, database.",
  },
  {
    action: "deploy",
    commands: ["pulumi config set createCluster false", "pulumi up"],
    note: "Onto an existing cluster, in a stack of its own. In a stack that made its cluster it is just `pulumi up`.",
  },
  {
    action: "provision-deploy",
    commands: ["pulumi up"],
    note: "Everything, in order. (The playbook's action of that name never creates the cluster.)",
  },
  {
    action: "status",
    commands: ["pulumi stack output", "pulumi preview --refresh --expect-no-changes"],
    note: "What there is; and whether it is still as declared, the stream contract included.",
  },
  {
    action: "destroy",
    commands: ["pulumi config set deletionProtection false", "pulumi up", "pulumi destroy"],
    note: "Refused without the first two commands. See Destroy.",
  },
];
