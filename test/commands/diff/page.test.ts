import * as fs from "node:fs";
import * as path from "node:path";
import { pathToFileURL } from "node:url";
import { chromium, type Browser, type BrowserContextOptions, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FLOWS, PART_TITLES } from "../../../commands/diff/parts";
import { present } from "../../../commands/diff/present";
import { PARTS, type ChangeReport } from "../../../commands/diff/report";
import { ensureBrowser } from "../../support/browser";
import { HOSTILE, object, report } from "./reports";
import { temporaryFolder } from "./support";

/** No networking of the browser's own: the page itself is all there is to load. */
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

const REPORT: ChangeReport = report(
  [
    object("nats-config", 2),
    { ...object("noetl-worker", 1), kind: "Deployment", namespace: "noetl", part: "worker", restarts: true },
    { ...object("gateway", 1), kind: "Deployment", namespace: "gateway", part: "gateway", op: "create" },
    { ...object(HOSTILE, 1, HOSTILE), part: "database", op: "delete" },
  ],
  {
    risks: [{ rule: "image", level: "warning", subject: HOSTILE, text: `look at \`${HOSTILE.replaceAll("`", "")}\`` }],
    resources: [
      {
        op: "replace",
        urn: "urn",
        type: "gcp:container/cluster:Cluster",
        name: "gke-cluster",
        part: "cloud",
        because: [`a.${"very".repeat(30)}.long[path]`],
        changes: [],
      },
    ],
    settings: [{ key: "natsReplicas", op: "change", old: "1", new: "3" }],
    live: {
      steps: [],
      drift: [
        {
          urn: "urn",
          type: "x:StreamContract",
          name: HOSTILE,
          op: "update",
          differences: [{ path: `a.${"very".repeat(30)}.long`, kind: "update", old: 3600, new: HOSTILE }],
          replaceReasons: [],
        },
      ],
      counts: { same: 3 },
      diagnostics: [`warning: ${HOSTILE}`],
    },
    environment: [
      {
        workload: "worker",
        object: "Deployment noetl/noetl-worker",
        rows: [
          {
            name: "NATS_URL",
            old: "(secret)",
            new: "(secret)",
            source: "Secret w",
            changed: true,
            note: "secret changed",
          },
          { name: "NATS_STREAM", old: "NOETL_COMMANDS", new: "NOETL_COMMANDS", source: "ConfigMap w", changed: false },
        ],
      },
    ],
    parts: PARTS.map((name, index) => {
      const change = (["create", "update", "replace", "delete", undefined] as const)[index % 5];
      return { name, title: PART_TITLES[name], ...(change ? { change } : {}), touched: index * 7, restarts: index % 2 };
    }),
  },
);

interface Area {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

describe("the page in a browser", () => {
  let browser: Browser;
  let folder: string;
  let address: string;
  const requests: string[] = [];
  const complaints: string[] = [];

  const open = async (options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await browser.newContext({ viewport: { width: 1200, height: 900 }, ...options });
    const page = await context.newPage();
    page.on("request", (request) => requests.push(request.url()));
    page.on("console", (message) => complaints.push(message.text()));
    page.on("pageerror", (error) => complaints.push(error.message));
    await page.goto(address);
    return page;
  };
  const shown = (page: Page): Promise<string[]> =>
    page.locator("[data-op]:visible > summary code, .plain:visible code").allInnerTexts();

  beforeAll(async () => {
    folder = temporaryFolder();
    fs.writeFileSync(path.join(folder, "diff.html"), present(REPORT, "html", { maxSize: 60_000 }));
    address = pathToFileURL(path.join(folder, "diff.html")).href;
    const { executablePath, env } = ensureBrowser();
    browser = await chromium.launch({ executablePath, args: FLAGS, env: { ...process.env, ...env } });
  });
  afterAll(async () => {
    await browser.close();
    fs.rmSync(folder, { recursive: true, force: true });
  });

  it("filters by words, also in fields that are folded away", async () => {
    const page = await open();
    expect(await shown(page)).toHaveLength(5);
    await page.getByRole("searchbox").fill("noetl-worker deployment");
    expect(await shown(page)).toEqual(["Deployment noetl/noetl-worker"]);
    await page.getByRole("searchbox").fill("data.k1");
    expect(await shown(page)).toEqual(["ConfigMap nats/nats-config"]);
    expect(await page.locator("#count").innerText()).toBe("1 of 8 shown");
  });

  it("filters by operation", async () => {
    const page = await open();
    await page.getByRole("checkbox", { name: "~ update" }).uncheck();
    expect(await shown(page)).toHaveLength(3);
  });

  it("filters by a click on a part of the picture, by keyboard too, and back", async () => {
    const page = await open();
    await page.getByRole("button", { name: /^Gateway:/ }).click();
    expect(await shown(page)).toEqual(["Deployment gateway/gateway"]);
    await page.getByRole("button", { name: "All parts" }).click();
    expect(await shown(page)).toHaveLength(5);
    await page.getByRole("button", { name: /^NATS:/ }).focus();
    await page.keyboard.press("Enter");
    expect(await shown(page)).toEqual(["ConfigMap nats/nats-config"]);
    expect(await page.locator('.part[aria-pressed="true"]').getAttribute("data-part")).toBe("nats");
  });

  it("shows changed variables first, and all when asked", async () => {
    const page = await open();
    expect(await page.getByText("NATS_STREAM").isVisible()).toBe(false);
    expect(await page.getByText("NATS_URL").isVisible()).toBe(true);
    expect(await page.locator("#count").innerText()).toBe("7 of 7 shown");
    await page.getByLabel("unchanged variables too").check();
    expect(await page.getByText("NATS_STREAM").isVisible()).toBe(true);
    expect(await page.locator("#count").innerText()).toBe("8 of 8 shown");
  });

  it("is light or dark as the system is, and as the reader wants", async () => {
    const back = (page: Page) => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    const light = await open({ colorScheme: "light" });
    expect(await back(light)).toBe("rgb(255, 255, 255)");
    const dark = await open({ colorScheme: "dark" });
    expect(await back(dark)).toBe("rgb(13, 17, 23)");
    await dark.getByRole("button", { name: "Light" }).click();
    expect(await back(dark)).toBe("rgb(255, 255, 255)");
  });

  it.each([320, 390, 768, 1200])("is not wider than a window of %i pixels", async (width) => {
    const page = await open({ viewport: { width, height: 800 } });
    await page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true");
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBe(width);
  });

  it("draws every part once, its words inside its box, and no box over another", async () => {
    const page = await open();
    // As text: the tests are not compiled with the browser's types.
    const boxes = await page.evaluate<{ rect: Area; texts: Area[] }[]>(`
      const area = (element) => {
        const { left, top, right, bottom } = element.getBoundingClientRect();
        return { left, top, right, bottom };
      };
      [...document.querySelectorAll("g.part")].map((part) => ({
        rect: area(part.querySelector("rect")),
        texts: [...part.querySelectorAll("text")].map(area),
      }))`);
    expect(boxes).toHaveLength(PARTS.length);
    for (const [index, { rect, texts }] of boxes.entries()) {
      for (const text of texts) {
        expect(text.left).toBeGreaterThan(rect.left);
        expect(text.right).toBeLessThan(rect.right);
        expect(text.bottom).toBeLessThan(rect.bottom);
      }
      for (const { rect: other } of boxes.slice(index + 1)) {
        const apart =
          rect.right <= other.left || other.right <= rect.left || rect.bottom <= other.top || other.bottom <= rect.top;
        expect(apart).toBe(true);
      }
    }
    expect(await page.locator("line.flow").count()).toBe(FLOWS.length);
  });

  it("is readable without its script", async () => {
    const page = await open({ javaScriptEnabled: false });
    expect(await page.getByText("NATS_STREAM").isVisible()).toBe(true);
    expect(await page.locator("#filter").isVisible()).toBe(false);
  });

  it("ran nothing that came with the report, asked for nothing but itself, and complained of nothing", () => {
    expect([...new Set(requests)]).toEqual([address]);
    expect(complaints).toEqual([]);
  });
});
