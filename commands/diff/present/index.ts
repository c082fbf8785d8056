import type { Format } from "../options";
import type { Report } from "../report";
import { html } from "./html";
import { markdown, type MarkdownOptions } from "./markdown";
import { text } from "./text";

/** The report in one format, ending with a line break. */
export function present(report: Report, format: Format, options: MarkdownOptions): string {
  switch (format) {
    case "markdown":
      return markdown(report, options);
    case "html":
      return html(report);
    case "text":
      return text(report);
    case "json":
      return `${JSON.stringify(report, null, 2)}\n`;
  }
}
