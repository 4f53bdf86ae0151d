// Tabs Edge and Log: one decision, the edges that are drawn as one, and the last decisions.

import { nearThreshold } from "./bundle.js";
import { histogram } from "./chart.js";
import { flipOf } from "./flips.js";
import { button, clock, count, escape, formatName, measure, signed } from "./format.js";
import { badge, edgeRows } from "./node_tab.js";
import { edgesOf, mainEdge } from "./selection.js";

export function edgeTab(scene) {
  const { log, selection } = scene;
  const chosen = edgesOf(selection).filter((i) => i < log.decided);
  if (!chosen.length) {
    return `<p class="obs-hint">No edge is selected. Click one in the graph, in a table or in the
      log.</p>`;
  }
  return mainEdge(selection) === null ? several(scene, chosen) : one(scene, chosen[0]);
}

/** Edges that are drawn as one, or those of a path. */
function several(scene, chosen) {
  const edges = chosen.map((i) => scene.log.decision(i));
  const sum = edges.reduce((total, edge) => total + edge.effect, 0);
  const order = scene.selection.path
    ? edges : edges.sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const what = scene.selection.path ? "A path" : "Drawn as one";
  return `<h4>${what}: ${count(edges.length)} edges</h4>
    <p>Their effects add up to <b>${signed(sum)} ${scene.log.header.unit}</b>.</p>
    <ul class="obs-list">${edgeRows(order, "both", scene)}</ul>`;
}

function one(scene, i) {
  const { view, log, theme, encoding } = scene;
  const edge = log.decision(i);
  const { header } = log;
  const [from, to] = [header.nodes[edge.from][0], header.nodes[edge.to][0]];
  const head = `<h4><code>${escape(edge.name)}</code></h4><p class="obs-ends">
    ${button(`data-node="${from}"`, escape(from))} ${badge(edge.kind)}
    ${button(`data-node="${to}"`, escape(to))}</p>`;
  const flip = flipOf(scene, i);
  if (edge.skipped) {
    return `${head}<p>Removed <b>without a test</b>: nothing kept leads from ${escape(to)} to the
      logits, so this edge cannot matter.${flip ? " In full precision it stays." : ""}</p>`;
  }
  const verdict = edge.kept ? "kept" : "removed";
  const near = nearThreshold(edge, header, encoding) ? ", borderline" : "";
  const facts = [
    ["Effect of cutting it", `${signed(edge.effect)} <small>${header.unit}</small>`],
    ["Threshold τ", measure(header.threshold)],
    ["Verdict", `${edge.kept ? "✓ kept" : "✕ removed"}${near}`],
    ...(flip ? [["In full precision", inFull(flip, header)]] : []),
    ["Damage before → after", `${measure(damageBefore(log, i))} → ${measure(edge.damage)}`],
    ["Decision", `${count(i + 1)} of ${count(header.edges)}, at ${clock(edge.t)}`],
    ["Evaluated with", planOf(log, edge)],
  ];
  const rows = facts.map(([what, value]) => `<div><dt>${what}</dt><dd>${value}</dd></div>`);
  return `${head}<dl class="obs-facts" data-verdict="${verdict}">${rows.join("")}</dl>
    <h5>All effects so far, and this one</h5>${histogram({ log, step: view.step, edge, theme })}`;
}

/** What full precision decided, with its effect. */
function inFull({ kept, tested, effect }, { unit }) {
  return `${kept ? "✓ kept" : "✕ removed"}, ${tested ? `${signed(effect)} ${unit}` : "untested"}`;
}

/** Damage before a decision, under the same precision plan. */
export function damageBefore(log, i) {
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

const LOG_FILTERS = ["all", "kept", "removed", "borderline"];
const LOG_LENGTH = 50;

export function logTab({ view, log, logFilter, encoding }) {
  const wanted = {
    all: () => true, kept: (e) => e.kept, removed: (e) => !e.kept,
    borderline: (e) => nearThreshold(e, log.header, encoding),
  }[logFilter];
  const rows = [];
  for (let i = view.step - 1; i >= 0 && rows.length < LOG_LENGTH; i -= 1) {
    const edge = log.decision(i);
    if (!edge.skipped && wanted(edge)) rows.push(edge);
  }
  const chips = LOG_FILTERS.map((name) =>
    button(`data-filter="${name}" aria-pressed="${name === logFilter}"`, name)).join("");
  const list = rows.map((edge) => {
    const inner = `<i class="obs-mark" aria-hidden="true">${edge.kept ? "✓" : "✕"}</i>
      <span>${escape(edge.name)}</span><b>${signed(edge.effect)}</b>`;
    const label = `${edge.kept ? "kept" : "removed"} ${edge.name}, effect ${edge.effect}`;
    return `<li>${button(`data-edge="${edge.i}" data-kept="${edge.kept}"`, inner, label)}</li>`;
  }).join("");
  return `<div class="obs-chips" role="group" aria-label="Show decisions">${chips}</div>
    ${rows.length ? `<ol class="obs-list obs-log">${list}</ol>`
    : '<p class="obs-hint">No such decision yet.</p>'}`;
}
