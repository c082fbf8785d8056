import type { Report } from "../report";
import { html as escaped } from "./escape";
import { text } from "./text";

/** The report as one page. */
export function html(report: Report): string {
  return `<!doctype html><meta charset="utf-8"><title>Changes</title><pre>${escaped(text(report))}</pre>\n`;
}
