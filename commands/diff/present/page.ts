/** Style and script of the page. Colours keep a contrast of 4.5 to 1 in both themes; no meaning is in colour alone. */

const LIGHT =
  "--back:#fff;--box:#f6f8fa;--text:#1f2328;--soft:#59636e;--line:#d1d9e0;--create:#1a7f37;--update:#9a6700;" +
  "--replace:#8250df;--delete:#cf222e;--add-back:#dafbe1;--remove-back:#ffebe9;--change-back:#fff8c5;--link:#0969da";
const DARK =
  "--back:#0d1117;--box:#151b23;--text:#f0f6fc;--soft:#9198a1;--line:#3d444d;--create:#3fb950;--update:#d29922;" +
  "--replace:#ab7df8;--delete:#f85149;--add-back:#12261e;--remove-back:#2d1517;--change-back:#272115;--link:#4493f8";

export const STYLE = `
:root{color-scheme:light;${LIGHT}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;${DARK}}}
:root[data-theme=dark]{color-scheme:dark;${DARK}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
header,main{max-width:1080px;margin:0 auto;padding:0 20px}
header{display:flex;flex-wrap:wrap;align-items:center;gap:4px 12px;padding-top:20px}
h1{font-size:22px;margin:0;flex:1;overflow-wrap:anywhere}
h2{font-size:17px;margin:28px 0 10px;padding-bottom:4px;border-bottom:1px solid var(--line)}
.compared{width:100%;margin:0;color:var(--soft)}
.summary{font-weight:600}
.summary.failed{color:var(--delete)}
code,pre{font:13px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}
code{overflow-wrap:anywhere}
td code{overflow-wrap:break-word}
small{color:var(--soft);font-size:13px}
p,li,small,label{overflow-wrap:anywhere}
button{font:inherit;color:var(--text);background:var(--box);border:1px solid var(--line);border-radius:6px;padding:3px 12px;cursor:pointer}
[hidden]{display:none!important}
.risks{list-style:none;padding:0;margin:0}
.risk{border-left:4px solid var(--line);background:var(--box);margin:6px 0;padding:6px 12px;border-radius:0 6px 6px 0}
.risk.danger{border-color:var(--delete)}.risk.danger b{color:var(--delete)}
.risk.warning{border-color:var(--update)}.risk.warning b{color:var(--update)}
.risk.notice{border-color:var(--link)}.risk.notice b{color:var(--link)}
.picture{overflow-x:auto;margin-top:24px}
svg{display:block;width:100%;min-width:700px;height:auto}
svg text{font:13px system-ui,sans-serif;text-anchor:middle;fill:var(--text)}
svg text.title{font-size:16px;font-weight:600}
svg line.flow{stroke:var(--soft);stroke-width:1.2}
svg text.flow{fill:var(--soft);paint-order:stroke;stroke:var(--back);stroke-width:6px}
svg .head{fill:var(--soft)}
.part{cursor:pointer}
.part rect{fill:var(--box);stroke:var(--line);stroke-width:1.5}
.part.create rect{stroke:var(--create);stroke-width:3}
.part.update rect{stroke:var(--update);stroke-width:3}
.part.replace rect{stroke:var(--replace);stroke-width:3}
.part.delete rect{stroke:var(--delete);stroke-width:3;stroke-dasharray:7 4}
.part:focus-visible{outline:none}
.part:focus-visible rect,.part[aria-pressed=true] rect{stroke:var(--link);stroke-width:4}
#filter{position:sticky;top:0;z-index:1;display:flex;flex-wrap:wrap;gap:8px 14px;align-items:center;margin:18px -20px 0;padding:10px 20px;background:var(--back);border-bottom:1px solid var(--line)}
#filter input[type=search]{flex:1 1 220px;min-width:0;font:inherit;padding:5px 10px;color:var(--text);background:var(--box);border:1px solid var(--line);border-radius:6px}
#count{color:var(--soft)}
#filter label{white-space:nowrap}
.create{color:var(--create)}.update{color:var(--update)}.replace{color:var(--replace)}.delete{color:var(--delete)}
.part{color:inherit}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:5px 10px;border:1px solid var(--line)}
th{background:var(--box)}
td.none{color:var(--soft)}td.words{min-width:280px}
tr.changed td{background:var(--change-back)}
.toggle{display:block;margin-bottom:8px}
details{border:1px solid var(--line);border-radius:6px;margin:6px 0;overflow:hidden}
.item.plain{border:1px solid var(--line);border-radius:6px;margin:6px 0;padding:6px 12px}
summary{padding:6px 12px;background:var(--box);cursor:pointer}
.sign{display:inline-block;width:1em;font-weight:700;text-align:center}
pre{margin:0;padding:10px 12px;overflow-x:auto;background:var(--box);border-radius:6px}
pre.failure{white-space:pre-wrap;overflow-wrap:anywhere;border-left:4px solid var(--delete)}
pre.diff{padding:6px 0;background:none;display:flex;flex-direction:column;min-width:100%}
.diff span{padding:0 12px;white-space:pre-wrap;overflow-wrap:anywhere}
.diff .add{background:var(--add-back)}.diff .remove{background:var(--remove-back)}
.diff .change{background:var(--change-back)}.diff .place{color:var(--soft)}
main{padding-bottom:60px}
@media (max-width:600px){header,main{padding:0 12px}header{padding-top:12px}#filter{margin:14px -12px 0;padding:8px 12px;position:static}th,td{padding:4px 6px}}
@media print{#filter,#theme{display:none}}
`;

/** Filters by text, operation and part; switches the theme. Everything is on the page already. */
export const SCRIPT = `
"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector) => [...document.querySelectorAll(selector)];
  const theme = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.hidden = false;
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; label(); });
  label();
  const form = document.getElementById("filter");
  if (!form) return;
  const clear = document.getElementById("clear");
  const unchanged = document.getElementById("unchanged");
  const items = all(".item").map((element) => ({ element, text: element.textContent.toLowerCase() }));
  // A variable that stays as it is: shown when asked for, and where the search finds it.
  const isUnchanged = (element) =>
    element.localName === "tr" && !!element.closest("details") && !element.classList.contains("changed");
  let part = "";
  const apply = () => {
    const words = form.elements.text.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const ops = all("input[name=op]:checked").map((box) => box.value);
    let shown = 0;
    for (const { element, text } of items) {
      const { op, part: own } = element.dataset;
      const visible = words.every((word) => text.includes(word)) && (!op || ops.includes(op)) &&
        (!part || !own || own === part) &&
        (!isUnchanged(element) || unchanged.checked || words.length > 0);
      element.hidden = !visible;
      if (visible) shown++;
    }
    for (const group of all(".group")) {
      const rows = [...group.querySelectorAll("tr.item")];
      if (words.length > 0) group.open = rows.some((row) => !row.hidden);
    }
    for (const node of all(".part")) node.setAttribute("aria-pressed", String(node.dataset.part === part));
    clear.hidden = part === "";
    const everything = words.length > 0 || (unchanged && unchanged.checked);
    const total = everything ? items.length : items.filter(({ element }) => !isUnchanged(element)).length;
    document.getElementById("count").textContent = shown + " of " + total + " shown";
  };
  const choose = (node) => { part = part === node.dataset.part ? "" : node.dataset.part; apply(); };
  for (const node of all(".part")) {
    node.addEventListener("click", () => choose(node));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); choose(node); }
    });
  }
  clear.addEventListener("click", () => { part = ""; apply(); });
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  if (unchanged) {
    unchanged.closest("label").hidden = false;
    unchanged.addEventListener("input", apply);
  }
  form.hidden = false;
  apply();
})();
`;
