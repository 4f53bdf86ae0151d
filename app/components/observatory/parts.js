// Fixed HTML of the component and its one-line texts.

import { count, escape, icon } from "./format.js";
import { MODES } from "./modes.js";

const chips = (kind, label, options) =>
  `<div class="obs-chips" role="group" aria-label="${label}">${options.map(([value, text]) =>
    `<button type="button" data-${kind}="${value}" aria-pressed="false">${text}</button>`).join("")}
  </div>`;
const tool = (attribute, label, path) =>
  `<button type="button" ${attribute} class="obs-tool" title="${label}" aria-label="${label}">`
  + `${icon(path)}</button>`;
const menu = (name, label, path, inside) =>
  `<details class="obs-menu" data-menu="${name}"><summary class="obs-tool" title="${label}"
    aria-label="${label}">${icon(path)}</summary><div>${inside}</div></details>`;
const tableTool = (name) =>
  tool(`data-table="${name}" aria-pressed="false"`, "View as table", "M2 3h12v10H2zM2 7h12M7 3v10");
const saveMenu = (name) => menu(name, "Download the picture", "M8 2v8M5 7l3 3 3-3M3 13h10",
  ["png", "svg"].map((kind) =>
    `<button type="button" data-save="${name}.${kind}">${kind.toUpperCase()}</button>`).join(""));
const toggle = (name, text, hint) =>
  `<button type="button" class="obs-toggle" data-toggle="${name}" aria-pressed="false"
    title="${hint}">${text}</button>`;

const KEYS = [
  ["← → ↑ ↓", "walk over the nodes"], ["Enter", "select; with Shift, add"],
  ["E", "next edge of the node"], ["G", "the node's layer as one, or apart"],
  ["Esc", "select nothing"], ["Space", "play or pause"],
  ["Shift and click", "add to the selection"], ["Scroll, drag", "zoom, move; double click resets"],
];
const HELP = `<dl class="obs-keys-help">${KEYS.map(([key, what]) =>
  `<div><dt>${key}</dt><dd>${what}</dd></div>`).join("")}</dl>
  <p>On the track: ← → one decision, with Shift one receiver; Home, End.</p>`;

const canvas = (name, attributes) => `<div class="obs-canvas">
  <div class="obs-plot" data-part="${name}" ${attributes}></div>
  <div class="obs-as-table" data-part="${name}-table" tabindex="0" hidden></div>
  <div class="obs-tip" data-part="${name}-tip" role="tooltip" hidden></div>`;

export const FRAME = `
<dl class="obs-kpis" data-part="kpis"></dl>
<div class="obs-main">
  <section class="obs-card obs-graph-card" data-part="graph-card" aria-label="Circuit graph">
    <header><h3>Circuit</h3><p data-part="budget"></p>
      <div class="obs-tools">${tableTool("graph")}${saveMenu("graph")}
        ${tool('data-act="link"', "Copy link to this view",
    "M7 9a3 3 0 0 0 4 .3l2-2a3 3 0 0 0-4-4l-1 1M9 7a3 3 0 0 0-4-.3l-2 2a3 3 0 0 0 4 4l1-1")}
        ${tool('data-act="reset"', "Reset the view", "M2 8a6 6 0 1 0 2-4.5M4 1v3h3")}
        ${tool('data-act="full"', "Full screen", "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4")}
        ${menu("help", "Keys and mouse",
    "M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.8M8 13v.2", HELP)}</div></header>
    <div class="obs-view">
      ${chips("colour", "Colour of edges",
    [["reads", "Read as"], ["sign", "Sign"], ["order", "Order"]])}
      ${toggle("compact", "Compact", "The circuit alone, drawn close together")}
      ${toggle("merged", "Q K V as one", "Query, key and value edges of a head as one")}
      ${toggle("layers", "Layers as one", "Every layer as one node; a click on L3 does one")}
      ${toggle("loose", "", "Nodes on no path from the embedding to the logits")}</div>
    ${canvas("graph", 'tabindex="0" role="application" aria-label="Circuit graph"')}
      <div class="obs-outcome" data-part="outcome" role="status"></div></div>
    <p class="obs-legend" data-part="legend"></p>
    <div class="obs-scrubber" data-part="scrubber" role="group" aria-label="Replay"></div>
  </section>
  <div class="obs-side">
    <section class="obs-card obs-map-card" aria-label="Precision map">
      <header><h3>Precision</h3><p data-part="map-line"></p>
        <div class="obs-tools">${tableTool("map")}${saveMenu("map")}</div></header>
      <div class="obs-view">${chips("map", "What the map shows",
    Object.entries(MODES).map(([name, { label }]) => [name, label]))}</div>
      ${canvas("map", 'role="img" aria-label="Precision map"')}</div>
      <div class="obs-note" data-part="map-note"></div>
    </section>
    <section class="obs-card obs-details-card" aria-label="Details">
      <header><div class="obs-tabs" role="tablist">
        <button type="button" role="tab" data-tab="node">Node</button>
        <button type="button" role="tab" data-tab="edge">Edge</button>
        <button type="button" role="tab" data-tab="paths">Paths</button>
        <button type="button" role="tab" data-tab="log">Log</button></div></header>
      <div class="obs-details" data-part="details" role="tabpanel" tabindex="0"></div>
      <div class="obs-more" data-part="more" aria-hidden="true" hidden>more below ↓</div>
    </section>
  </div>
</div>
<details class="obs-card obs-chart-card" open>
  <summary>Damage while edges are cut <span>edges remaining, from all to few</span></summary>
  <div class="obs-tools">${tableTool("chart")}</div>
  <div data-part="chart"></div>
  <div class="obs-as-table" data-part="chart-table" tabindex="0" hidden></div></details>
<div class="obs-waiting" data-part="waiting"></div>
<div class="obs-sr" data-part="live" aria-live="polite"></div>`;

/** How much of the circuit is drawn, and why not all of it. */
export function budgetLine({ view, drawn, ui, status, running, over }) {
  const kept = view.kept.length;
  const pace = running && status.interval > 1 ? ` · drawn every ${status.interval} s` : "";
  if (!kept) return `no edge kept${over ? "" : " yet"}${pace}`;
  const bundles = drawn.shown > drawn.edges.length ? ` in ${count(drawn.edges.length)} lines` : "";
  const hidden = drawn.hidden.map(([n, why]) => `${count(n)} ${why}`).join(", ");
  const raise = drawn.weaker ? ' <button type="button" data-act="raise">raise</button>' : "";
  const clear = ui.hidden.size ? ' <button type="button" data-act="all">show all</button>' : "";
  return `showing ${count(drawn.shown)} of ${count(kept)} kept${bundles}`
    + `${hidden ? ` · hidden: ${hidden}` : ""}${raise}${clear}${pace}`;
}

const READS = [["q", "query"], ["k", "key"], ["v", "value"], ["mlp", "MLP"], ["logits", "logits"]];

/** What colours and dashes mean. A kind of edge can be switched off here. */
export function legend({ ui, drawn, colourBy, log, over }) {
  const { mlp } = log.header.size;
  const stroke = (style, text) =>
    `<span><i class="obs-stroke" style="${style}"></i>${text}</span>`;
  const filter = (kind, style, text) =>
    `<button type="button" data-hide="${kind}" aria-pressed="${!ui.hidden.has(kind)}"
      title="Show or hide these edges"><i class="obs-stroke" style="${style}"></i>${text}</button>`;
  const colours = {
    reads: () => READS.filter(([kind]) => kind !== "mlp" || mlp)
      .map(([kind, text]) => filter(kind, `--c:var(--obs-read-${kind})`, text)).join("")
      + (drawn.edges.some((edge) => edge.kind === "mixed")
        ? stroke("--c:var(--obs-muted)", "as one") : ""),
    sign: () => filter("up", "--c:var(--obs-sign-up)", "cutting it hurts")
      + filter("down", "--c:var(--obs-sign-down)", "cutting it helps"),
    order: () => "<span>dark: found late</span>",
  }[colourBy]();
  const live = over ? "" : stroke("--c:var(--obs-accent);--d:dotted", "next")
    + stroke("--c:var(--obs-faint);--d:dashed", "just cut");
  return `${colours}${filter("near", "--c:var(--obs-muted);--d:dashed", "near τ")}
    <span class="obs-gap"></span><span><b>■</b> head</span>
    ${mlp ? "<span><b>◆</b> MLP</span>" : ""}${live}<span class="obs-wide">width: effect</span>`;
}

/** What stands where the picture would be of a run that ended without a decision. */
export const NOTHING = "<div><b>No circuit</b><p>This run ended before its first decision.</p></div>";

/** What is said until there is a picture. */
export function waiting(status) {
  return `<div><span class="obs-pulse" aria-hidden="true"></span><b>${escape(status.title)}</b>
    <p>${escape(status.detail ?? "")}</p></div>`;
}
