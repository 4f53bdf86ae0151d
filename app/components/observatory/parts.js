// Fixed HTML of the component and its one-line texts.

import { bytes, count, escape, formatName, measure, signed, spoken } from "./format.js";
import { planOf } from "./details.js";
import { formatOf, standing } from "./log.js";

const chips = (kind, label, options) =>
  `<div class="obs-chips" role="group" aria-label="${label}">${options.map(([value, text]) =>
    `<button type="button" data-${kind}="${value}" aria-pressed="false">${text}</button>`).join("")}</div>`;
const tool = (act, label, path) =>
  `<button type="button" data-act="${act}" class="obs-tool" title="${label}" aria-label="${label}"><svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg></button>`;

export const FRAME = `
<dl class="obs-kpis" data-part="kpis"></dl>
<div class="obs-main">
  <section class="obs-card obs-graph-card" data-part="graph-card" aria-label="Circuit graph">
    <header><h3>Circuit</h3><p data-part="budget"></p>
      ${chips("colour", "Colour of edges", [["reads", "Read as"], ["sign", "Sign"], ["order", "Order"]])}
      ${tool("reset", "Reset the view", "M2 8a6 6 0 1 0 2-4.5M4 1v3h3")}
      ${tool("full", "Full screen", "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4")}</header>
    <div class="obs-canvas"><div class="obs-plot" data-part="graph" tabindex="0" role="application" aria-label="Circuit graph"></div>
      <div class="obs-tip" data-part="graph-tip" role="tooltip" hidden></div></div>
    <p class="obs-legend" data-part="legend"></p>
    <div class="obs-scrubber" data-part="scrubber" role="group" aria-label="Replay"></div>
  </section>
  <div class="obs-side">
    <section class="obs-card obs-map-card" aria-label="Precision map">
      <header><h3>Precision</h3><p data-part="map-line"></p>
        ${chips("map", "What the map shows", [["now", "Now"], ["ever", "Raised"]])}</header>
      <div class="obs-canvas"><div class="obs-plot" data-part="map" role="img" aria-label="Number format of every component"></div>
        <div class="obs-tip" data-part="map-tip" role="tooltip" hidden></div></div>
    </section>
    <section class="obs-card obs-details-card" aria-label="Details">
      <header><div class="obs-tabs" role="tablist">
        <button type="button" role="tab" data-tab="node">Node</button>
        <button type="button" role="tab" data-tab="edge">Edge</button>
        <button type="button" role="tab" data-tab="paths">Paths</button>
        <button type="button" role="tab" data-tab="log">Log</button></div></header>
      <div class="obs-details" data-part="details" role="tabpanel" tabindex="0"></div>
    </section>
  </div>
</div>
<details class="obs-card obs-chart-card" open><summary>Damage while edges are cut <span>edges remaining, from all to few</span></summary>
  <div data-part="chart"></div></details>
<div class="obs-waiting" data-part="waiting"></div>
<div class="obs-sr" data-part="live" aria-live="polite"></div>`;

export function budgetLine({ view, log, budget, over }) {
  const kept = view.kept.length;
  if (!kept && over) return `no edge survived; try a smaller threshold (the largest effect was ${measure(largestEffect(log))})`;
  if (!kept) return "no edge kept yet";
  if (kept > budget) {
    return `showing the ${count(budget)} strongest of ${count(kept)} kept <button type="button" data-act="all">show all</button>`;
  }
  return `showing ${count(kept)} of ${count(kept)} kept`;
}

function largestEffect(log) {
  let most = 0;
  for (const row of log.rows) if (typeof row[0] === "number" && row.length > 2) most = Math.max(most, row[3]);
  return most;
}

const READS = [["q", "query"], ["k", "key"], ["v", "value"], ["mlp", "MLP"], ["logits", "logits"]];

export function legend({ colourBy, log, over }) {
  const stroke = (style, text) => `<span><i class="obs-stroke" style="${style}"></i>${text}</span>`;
  const colours = {
    reads: READS.filter(([kind]) => kind !== "mlp" || log.header.size.mlp)
      .map(([kind, text]) => stroke(`--c:var(--obs-read-${kind})`, text)).join(""),
    sign: stroke("--c:var(--obs-sign-up)", "cutting it hurts") + stroke("--c:var(--obs-sign-down)", "cutting it helps"),
    order: '<span>dark: found late</span>',
  }[colourBy];
  const live = over ? "" : `${stroke("--c:var(--obs-accent);--d:dotted", "next")}${stroke("--c:var(--obs-faint);--d:dashed", "just cut")}`;
  return `${colours}<span class="obs-gap"></span><span><b>■</b> head</span>${log.header.size.mlp ? "<span><b>◆</b> MLP</span>" : ""}
    ${stroke("--c:var(--obs-muted);--d:dashed", "near τ")}${live}<span class="obs-wide">width: effect</span>`;
}

export function mapLine({ view, log, encoding, mapMode }, stored) {
  if (mapMode === "ever") return "how often each component was raised";
  if (stored) return `${bytes(stored.now)} of weights, ${bytes(stored.full)} in FP32`;
  const bits = log.header.nodes.map(([name]) => encoding.bits[formatOf(view, log.header, name)] ?? 32);
  return `${(bits.reduce((a, b) => a + b, 0) / bits.length).toFixed(1)} bits on average`;
}

/** The card at the mouse. */
export function tooltip(data, { view, log }) {
  const { header } = log;
  if (data.edge !== undefined) {
    const edge = log.decision(data.edge);
    return `<code>${escape(edge.name)}</code><p>effect <b>${signed(edge.effect)}</b> ${header.unit}, τ ${measure(header.threshold)}: ${edge.kept ? "kept" : "removed"}</p><p>${planOf(log, edge)}</p>`;
  }
  const node = header.nodes.findIndex(([name]) => name === data.node);
  const state = { in: "in the circuit", open: "not decided yet", out: "not in the circuit" }[standing(view, header, node)];
  return `<code>${escape(data.node)}</code> <span>${escape(spoken(data.node))}</span>
    <p>${state} · ${count(view.keptIn[node])} in, ${count(view.keptOut[node])} out · ${formatName(formatOf(view, header, data.node))}</p>`;
}

/** What is said instead of a picture. */
export function waiting(status) {
  if (!status.live) return "<div><b>Nothing was decided yet.</b><p>What happened stands above.</p></div>";
  return `<div><span class="obs-pulse" aria-hidden="true"></span><b>${escape(status.title)}</b><p>${escape(status.detail ?? "")}</p></div>`;
}
