/** What changes in the stack's settings. */
import { isHiddenName } from "../../../contract/mask/names";
import { foreignKey } from "../../../config/foreign";
import { rawChanges, shownChange } from "../compare";
import { Opaque, type Masker } from "../../../contract/mask";
import type { SettingChange } from "../report";
import type { StackConfig } from "../stack-config";

/** Settings that differ, secrets without their values. */
export function settingChanges(base: StackConfig, head: StackConfig, masker: Masker): SettingChange[] {
  const short = (config: StackConfig, key: string) =>
    key.startsWith(`${config.project}:`) ? key.slice(config.project.length + 1) : key;
  const keys = [...new Set([...Object.keys(base.values), ...Object.keys(head.values)])].sort();
  return keys.flatMap((key): SettingChange[] => {
    const value = (config: StackConfig): unknown => {
      const text = config.values[key];
      if (text === undefined || text === "") return undefined;
      return config.secretKeys.includes(key) || isHiddenName(key) ? new Opaque(text) : text;
    };
    return rawChanges(value(base), value(head)).map((change) => {
      const { op, old, new: now, note: own } = shownChange(change, masker);
      const note = foreignKey(key)?.text ?? own;
      return {
        key: short(head, key),
        op,
        old,
        new: now,
        note: note || undefined,
      };
    });
  });
}
