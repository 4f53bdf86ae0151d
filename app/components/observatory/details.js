// The tabs beside the graph: what is selected, and the log. Clicks anywhere select everywhere.

import { nearThreshold, strength } from "./edges.js";
import { clock, count, escape, formatName, measure, signed, spoken } from "./format.js";
import { formatOf, standing } from "./log.js";
import { histogram } from "./chart.js";

const READS = { q: "Q", k: "K", v: "V", mlp: "MLP", logits: "out" };
const badge = (kind) => `<i class="obs-badge" data-kind="${kind}">${READS[kind]}</i>`;
const button = (attribute, inner, label = "") =>
  `<button type="button" ${attribute} ${label ? `aria-label="${escape(label)}"` : ""}>${inner}</button>`;

/** Name of a node with its words: `a1.h3` layer 1 head 3. */
const title = (name) =>
  `<h4>${escape(spoken(name)).replace(/^./, (c) => c.toUpperCase())} <code>${escape(name)}</code></h4>`;

export function nodeTab({ view, log, selection, encoding }) {
  const name = selection?.node;
  if (!name) return overview({ view, log });
  const node = log.header.nodes.findIndex(([other]) => other === name);
  if (node < 0) return `<p class="obs-hint">This model has no ${escape(name)}.</p>`;
  const into = strongest(view.kept.filter((e) => e.to === node));
  const out = strongest(view.kept.filter((e) => e.from === node));
  const rows = (edges, other) => edges.map((e) => edgeRow(e, log.header.nodes[e[other]][0], log, encoding)).join("");
  return `${title(name)}<p>${sentence({ view, log, node })}</p>
    ${section("Writes to", out.length, rows(out, "to"))}
    ${section("Reads from", into.length, rows(into, "from"))}`;
}

function sentence({ view, log, node }) {
  const { header } = log;
  const [name, kind] = header.nodes[node];
  const format = formatName(formatOf(view, header, name));
  const raised = view.raised[name] ?? 0;
  const precision = name in view.overrides
    ? `It computes in <b>${format}</b> at this moment, raised from ${formatName(header.formats[name])}.`
    : `It computes in <b>${format}</b>${raised ? `; it was raised ${raised} time${raised > 1 ? "s" : ""}` : ""}.`;
  if (kind === "logits") return `Where the circuit ends. ${count(view.keptIn[node])} kept edges arrive. ${precision}`;
  if (kind === "input") return `Where the circuit begins: token plus position. ${count(view.keptOut[node])} kept edges leave it.`;
  const open = header.outgoing[node] - view.decidedOut[node];
  const state = {
    in: `<b>In the circuit.</b> Kept edges: ${count(view.keptOut[node])} out of it, ${count(view.keptIn[node])} into it.`,
    open: `<b>Not decided yet.</b> ${count(open)} of ${count(header.outgoing[node])} edges out of it are still open.`,
    out: "<b>Not in the circuit.</b> Nothing kept leads from it to the logits.",
  }[standing(view, header, node)];
  return `${state} ${precision}`;
}

const strongest = (edges) => [...edges].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
const section = (label, n, rows) =>
  `<h5>${label} <span>${n}</span></h5>${n ? `<ul class="obs-list">${rows}</ul>` : '<p class="obs-hint">None kept so far.</p>'}`;

/** Length of a bar in percent: never nothing, and the logarithm of the effect. */
const bar = (effect, log, most) => (6 + 94 * strength(effect, log.header, most)).toFixed(1);

function edgeRow(edge, other, log, encoding) {
  const width = bar(edge.effect, log, log.largest);
  const near = nearThreshold(edge, log.header, encoding) ? ' <em title="Within 20% of the threshold">≈τ</em>' : "";
  return `<li>${button(`data-edge="${edge.i}"`, `${badge(edge.kind)}<span>${escape(other)}${near}</span>
    <s><u style="width:${width}%"></u></s><b>${signed(edge.effect)}</b>`, `Edge ${edge.name}, effect ${edge.effect}`)}</li>`;
}

function overview({ view, log }) {
  const order = log.header.nodes
    .map(([name, kind], node) => ({ name, kind, weight: view.strength[node], into: view.keptIn[node], out: view.keptOut[node] }))
    .filter((n) => n.weight > 0 && n.kind !== "logits" && n.kind !== "input")
    .sort((a, b) => b.weight - a.weight).slice(0, 8);
  if (!order.length) return '<p class="obs-hint">Click a node or an edge. Arrow keys walk over the graph once it has the focus; Enter selects, Esc clears.</p>';
  const rows = order.map((n) => `<li>${button(`data-node="${n.name}"`,
    `<span>${escape(n.name)}</span><s><u style="width:${bar(n.weight, log, order[0].weight)}%"></u></s><b>${n.into} in, ${n.out} out</b>`,
    `Select ${spoken(n.name)}`)}</li>`).join("");
  return `<p>Components that carry most of the circuit so far. Select one here, in the graph or in the map.</p>
    <ul class="obs-list">${rows}</ul>`;
}

export function edgeTab({ view, log, selection, theme, encoding }) {
  if (selection?.edge === undefined || selection.edge >= log.decided) {
    return '<p class="obs-hint">No edge is selected. Click one in the graph, in a table or in the log.</p>';
  }
  const edge = log.decision(selection.edge);
  const { header } = log;
  const [from, to] = [header.nodes[edge.from][0], header.nodes[edge.to][0]];
  const ends = `<p class="obs-ends">${button(`data-node="${from}"`, escape(from))} ${badge(edge.kind)} ${button(`data-node="${to}"`, escape(to))}</p>`;
  if (edge.skipped) {
    return `<h4><code>${escape(edge.name)}</code></h4>${ends}
      <p>Removed <b>without a test</b>: nothing kept leads from ${escape(to)} to the logits, so this edge cannot matter.</p>`;
  }
  const verdict = edge.kept ? "kept" : "removed";
  const before = damageBefore(log, edge.i);
  return `<h4><code>${escape(edge.name)}</code></h4>${ends}
    <dl class="obs-facts">
      <div><dt>Effect of cutting it</dt><dd>${signed(edge.effect)} <small>${header.unit}</small></dd></div>
      <div><dt>Threshold τ</dt><dd>${measure(header.threshold)}</dd></div>
      <div><dt>Verdict</dt><dd data-verdict="${verdict}">${edge.kept ? "✓ kept" : "✕ removed"}${nearThreshold(edge, header, encoding) ? ", borderline" : ""}</dd></div>
      <div><dt>Damage before → after</dt><dd>${measure(before)} → ${measure(edge.damage)}</dd></div>
      <div><dt>Decision</dt><dd>${count(edge.i + 1)} of ${count(header.edges)}, at ${clock(edge.t)}</dd></div>
      <div><dt>Evaluated with</dt><dd>${planOf(log, edge)}</dd></div>
    </dl>
    <h5>All effects so far, and this one</h5>${histogram({ log, step: view.step, edge, theme })}`;
}

function damageBefore(log, i) {
  for (let row = log.decisions[i] - 1; row >= 0; row -= 1) {
    const before = log.rows[row];
    if (before[0] === "f") return before[3];
    if (typeof before[0] === "number" && before.length > 2) return before[4];
  }
  return null;
}

/** Under which precision plan a decision was made. */
export function planOf(log, edge) {
  const { header } = log;
  let plan = null;
  for (let row = log.decisions[edge.i]; row >= 0 && !plan; row -= 1) {
    if (log.rows[row][0] === "f") plan = log.rows[row];
  }
  const others = [...new Set(Object.values(header.formats))].map(formatName);
  const rest = others.length ? others.join(" and ") : "FP32";
  const raised = Object.entries(plan?.[2] ?? {});
  if (!raised.length) return `everything in ${rest}`;
  const [name, format] = raised[0];
  const more = raised.length > 1 ? ` and ${raised.length - 1} more` : "";
  return `${escape(name)}${more} in ${formatName(format)}, the rest in ${rest}`;
}

export const LOG_FILTERS = ["all", "kept", "removed", "borderline"];

export function logTab({ view, log, logFilter, encoding }) {
  const wanted = {
    all: () => true, kept: (e) => e.kept, removed: (e) => !e.kept,
    borderline: (e) => nearThreshold(e, log.header, encoding),
  }[logFilter];
  const rows = [];
  for (let i = view.step - 1; i >= 0 && rows.length < 50; i -= 1) {
    const edge = log.decision(i);
    if (!edge.skipped && wanted(edge)) rows.push(edge);
  }
  const chips = LOG_FILTERS.map((name) =>
    button(`data-filter="${name}" aria-pressed="${name === logFilter}"`, name)).join("");
  const list = rows.map((edge) => `<li>${button(`data-edge="${edge.i}" data-kept="${edge.kept}"`,
    `<i class="obs-mark" aria-hidden="true">${edge.kept ? "✓" : "✕"}</i><span>${escape(edge.name)}</span><b>${signed(edge.effect)}</b>`,
    `${edge.kept ? "kept" : "removed"} ${edge.name}, effect ${edge.effect}`)}</li>`).join("");
  return `<div class="obs-chips" role="group" aria-label="Show decisions">${chips}</div>
    ${rows.length ? `<ol class="obs-list obs-log">${list}</ol>` : '<p class="obs-hint">No such decision yet.</p>'}`;
}
