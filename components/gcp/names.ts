import * as crypto from "node:crypto";

/**
 * Id of a service account: 6 to 30 characters. A name that is too long is cut and distinguished by four characters of its
 * digest.
 */
export function accountId(name: string, role: string): string {
  const whole = `${name}-${role}`;
  if (whole.length <= 30) return whole;
  const digest = crypto.createHash("sha256").update(name).digest("hex").slice(0, 4);
  return `${name.slice(0, 30 - role.length - 6).replace(/-+$/, "")}-${digest}-${role}`;
}
