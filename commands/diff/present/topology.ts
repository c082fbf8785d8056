import { FLOWS } from "../parts";
import type { ChangeReport, Part, PartName } from "../report";
import { html } from "./escape";
import { plural } from "../../../contract/wording";

const WIDTH = 190;
const HEIGHT = 88;
const MARGIN = 14;
const COLUMN = 256;
const ROW = 142;

/** Where each part stands: column and row. */
const LOCATIONS: Record<PartName, readonly [column: number, row: number]> = {
  gateway: [0, 1],
  server: [1, 1],
  nats: [2, 0],
  worker: [3, 1],
  database: [1, 2],
  contract: [3, 0],
  cloud: [0, 2],
  stack: [3, 2],
};

interface Point {
  readonly x: number;
  readonly y: number;
}

const cornerOf = (name: PartName): Point => ({
  x: MARGIN + LOCATIONS[name][0] * COLUMN,
  y: MARGIN + LOCATIONS[name][1] * ROW,
});

const centreOf = (name: PartName): Point => {
  const { x, y } = cornerOf(name);
  return { x: x + WIDTH / 2, y: y + HEIGHT / 2 };
};

/** Where the line from a part's centre to another point leaves its box, with a gap for the arrow's head. */
function edgeOf(name: PartName, towards: Point, gap: number): Point {
  const centre = centreOf(name);
  const [dx, dy] = [towards.x - centre.x, towards.y - centre.y];
  const scale = Math.min(
    dx === 0 ? Infinity : (WIDTH / 2 + gap) / Math.abs(dx),
    dy === 0 ? Infinity : (HEIGHT / 2 + gap) / Math.abs(dy),
  );
  return { x: Math.round(centre.x + dx * scale), y: Math.round(centre.y + dy * scale) };
}

/** The installation as a picture: parts as buttons that filter the page, what changes marked by colour, sign and words. */
export function topology(report: ChangeReport): string {
  const present = new Set(report.parts.map(({ name }) => name));
  const rows = Math.max(0, ...report.parts.map(({ name }) => LOCATIONS[name][1])) + 1;
  const [width, height] = [MARGIN * 2 + COLUMN * 3 + WIDTH, MARGIN * 2 + ROW * (rows - 1) + HEIGHT];
  const flows = FLOWS.filter(({ from, to }) => present.has(from) && present.has(to)).map(({ from, to, label }) => {
    const start = edgeOf(from, centreOf(to), 0);
    const end = edgeOf(to, centreOf(from), 4);
    const [x, y] = [(start.x + end.x) / 2, (start.y + end.y) / 2];
    return (
      `<line class="flow" x1="${start.x}" y1="${start.y}" x2="${end.x}" y2="${end.y}" marker-end="url(#head)"/>` +
      `<text class="flow" x="${x}" y="${y + 4}">${html(label)}</text>`
    );
  });
  return [
    `<svg viewBox="0 0 ${width} ${height}" role="group" aria-label="Parts of the installation">`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">',
    '<path class="head" d="M0 0L8 4L0 8z"/></marker></defs>',
    ...flows,
    ...report.parts.map(node),
    "</svg>",
  ].join("\n");
}

function node(part: Part): string {
  const { x, y } = cornerOf(part.name);
  const { change } = part;
  const lines = [
    change ? `${change}: ${plural(part.touched, "change")}` : "unchanged",
    ...(part.restarts > 0 ? ["pods restart"] : []),
  ];
  const texts = lines.map(
    (line, index) => `<text x="${x + WIDTH / 2}" y="${y + 54 + index * 19}">${html(line)}</text>`,
  );
  return (
    `<g class="part ${change ?? "same"}" data-part="${part.name}" tabindex="0" role="button" aria-pressed="false" ` +
    `aria-label="${html(`${part.title}: ${lines.join(", ")}. Show only this part.`)}">` +
    `<rect x="${x}" y="${y}" width="${WIDTH}" height="${HEIGHT}" rx="10"/>` +
    `<text class="title" x="${x + WIDTH / 2}" y="${y + 30}">${html(part.title)}</text>${texts.join("")}</g>`
  );
}
