/** When Google may upgrade a cluster: how the settings write it, and what of it GKE would refuse. */
import type { Check } from "../../contract/validate";

const DAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const;

/** Longest that a rolling window of GKE is, in days, and what of it has to be open. Source: GKE, "Maintenance windows and exclusions". */
const ROLLING_DAYS = 32;
const LEAST_HOURS = 48;
const LEAST_HOURS_AT_ONCE = 4;
/** Exclusions that a cluster takes. Same source. */
const MOST_EXCLUSIONS = 20;

/** Times that recur, as the Kubernetes Engine API has them. */
export interface RecurringWindow {
  readonly startTime: string;
  readonly endTime: string;
  readonly recurrence: string;
}

interface Window {
  readonly days: readonly (typeof DAYS)[number][];
  /** Minutes after midnight, UTC; an end that is not after the begin is one of the next day. */
  readonly begin: number;
  readonly minutes: number;
}

function windowOf(text: string): Window | undefined {
  const match = /^(daily|[a-z]{3}(?:,[a-z]{3})*) +([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (!match) return undefined;
  const [, named = "", ...clock] = match;
  const given = named === "daily" ? [...DAYS] : named.split(",");
  const days = DAYS.filter((day) => given.includes(day));
  if (days.length !== given.length) return undefined;
  const [fromHour = 0, fromMinute = 0, toHour = 0, toMinute = 0] = clock.map(Number);
  const begin = fromHour * 60 + fromMinute;
  const minutes = (toHour * 60 + toMinute - begin + 1440) % 1440 || 1440;
  return { days, begin, minutes };
}

/** Whether GKE takes a window: often and long enough that an upgrade gets its turn. */
export const maintenanceWindow: Check<string> = (text) => {
  const window = windowOf(text);
  if (!window) return "not a window";
  if (window.minutes < LEAST_HOURS_AT_ONCE * 60) return `shorter than ${LEAST_HOURS_AT_ONCE} hours`;
  // A day of the week comes four times in 32 days, at least.
  const times = window.days.length === 7 ? ROLLING_DAYS : 4 * window.days.length;
  const hours = (times * window.minutes) / 60;
  return hours < LEAST_HOURS
    ? `${Number(hours.toFixed(1))} hours in ${ROLLING_DAYS} days, and GKE wants ${LEAST_HOURS}`
    : undefined;
};

const utc = (time: number): string => new Date(time).toISOString().replace(".000Z", "Z");

/** A window of the settings, for GKE. @throws Error for one that {@link maintenanceWindow} refuses. */
export function recurringWindow(text: string): RecurringWindow {
  const window = windowOf(text);
  if (!window) throw new Error(`"${text}" is not a maintenance window`);
  const { days, begin, minutes } = window;
  // A Monday; the first day of the window is one that it recurs on.
  const start = Date.UTC(2025, 0, 6 + DAYS.indexOf(days[0] ?? "mon")) + begin * 60_000;
  return {
    startTime: utc(start),
    endTime: utc(start + minutes * 60_000),
    recurrence:
      days.length === 7
        ? "FREQ=DAILY"
        : `FREQ=WEEKLY;BYDAY=${days.map((day) => day.slice(0, 2).toUpperCase()).join(",")}`,
  };
}

/** What is kept away in an exclusion, by its word in the settings. */
const SCOPES = {
  all: "NO_UPGRADES",
  minor: "NO_MINOR_UPGRADES",
  "minor-and-nodes": "NO_MINOR_OR_NODE_UPGRADES",
} as const;

/** An exclusion, as the Kubernetes Engine API has it. */
export interface MaintenanceExclusion {
  readonly exclusionName: string;
  readonly startTime: string;
  /** The end of the last day. */
  readonly endTime: string;
  readonly exclusionOptions: { readonly scope: string };
}

const DAY_MS = 86_400_000;

/** Midnight of a date, UTC; NaN where there is no such date. */
const dateOf = (text: string): number => {
  const time = Date.parse(`${text}T00:00:00Z`);
  return Number.isNaN(time) || utc(time).slice(0, 10) !== text ? Number.NaN : time;
};

/** An exclusion of the settings, for GKE; undefined where it is none. */
export function exclusionOf(text: string): MaintenanceExclusion | undefined {
  const match = /^(\d{4}-\d\d-\d\d)\/(\d{4}-\d\d-\d\d)(?::([a-z-]+))?$/.exec(text);
  const [, first = "", last = "", word = "all"] = match ?? [];
  const [begin, end] = [dateOf(first), dateOf(last)];
  const scope = Object.hasOwn(SCOPES, word) ? SCOPES[word as keyof typeof SCOPES] : undefined;
  if (!match || scope === undefined || !(begin <= end)) return undefined;
  return {
    exclusionName: `noetl-${first}-${word}`,
    startTime: utc(begin),
    endTime: utc(end + DAY_MS),
    exclusionOptions: { scope },
  };
}

/** Whether a list consists of exclusions that a cluster takes together. */
export const maintenanceExclusions: Check<readonly string[]> = (values) => {
  const wrong = values.find((value) => !exclusionOf(value));
  if (wrong !== undefined) return `not a list of exclusions: "${wrong}" is not one`;
  if (values.length > MOST_EXCLUSIONS) return `more than ${MOST_EXCLUSIONS} exclusions`;
  const names = values.map((value) => exclusionOf(value)?.exclusionName);
  const twin = values.find((_, index) => names.indexOf(names[index]) !== index);
  return twin === undefined ? undefined : `not usable: two exclusions begin on ${twin.slice(0, 10)}`;
};
