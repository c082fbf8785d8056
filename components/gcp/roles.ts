/**
 * Roles that the stack's resources are granted on the project. Whoever deploys may grant and take these, and need not be able to
 * give any other: docs/gke.md has the condition.
 */
export const PROJECT_ROLES = {
  /** Nodes of a cluster. */
  nodes: "roles/container.defaultNodeServiceAccount",
  /** The Auth Proxy, for its instance alone. */
  proxy: "roles/cloudsql.client",
} as const;

/** Condition on `roles/resourcemanager.projectIamAdmin`. Source: IAM, "Set limits on granting roles". */
export const grantCondition = (): string =>
  `api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([${Object.values(PROJECT_ROLES)
    .sort()
    .map((role) => `'${role}'`)
    .join(", ")}])`;
