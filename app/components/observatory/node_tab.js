// Tab Node: what is selected, its state, its precision over time, its kept edges.

import { nearThreshold } from "./bundle.js";
import { strength } from "./edges.js";
import { flipsOf } from "./flips.js";
import { button, capital, count, escape, formatName, signed, spoken } from "./format.js";
import { formatOf, standing } from "./log.js";
import { mainNode, nodesOf } from "./selection.js";

const READS = { q: "Q", k: "K", v: "V", mlp: "MLP", logits: "out" };
export const badge = (kind) => `<i class="obs-badge" data-kind="${kind}">${READS[kind]}</i>`;
const strongest = (edges) => [...edges].sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));

export function nodeTab(scene) {
  const { view, log, selection } = scene;
  const name = mainNode(selection);
  if (!name) return overview(scene);
  const node = log.header.nodes.findIndex(([other]) => other === name);
  if (node < 0) return `<p class="obs-hint">This model has no ${escape(name)}.</p>`;
  const into = strongest(view.kept.filter((e) => e.to === node));
  const out = strongest(view.kept.filter((e) => e.from === node));
  return `${others(selection, name)}
    <h4>${escape(capital(spoken(name)))} <code>${escape(name)}</code></h4>
    <p>${sentence(scene, node)}</p>${history(scene, name)}${flipped(scene, node)}
    ${section("Writes to", out.length, edgeRows(out, "to", scene))}
    ${section("Reads from", into.length, edgeRows(into, "from", scene))}`;
}

/** Edges into a node that full precision decides otherwise. */
function flipped(scene, node) {
  const edges = flipsOf(scene).map(({ edge }) => edge).filter((edge) => edge.to === node);
  return edges.length
    ? section("Not so in full precision", edges.length, edgeRows(edges, "from", scene)) : "";
}

/** The other nodes of a selection of several. */
function others(selection, name) {
  const all = nodesOf(selection);
  if (all.length < 2) return "";
  const chips = all.map((other) => button(
    `data-main="${escape(other)}" aria-pressed="${other === name}"`, escape(other),
  )).join("");
  return `<div class="obs-chosen" role="group" aria-label="${all.length} selected">${chips}</div>`;
}

function sentence({ view, log }, node) {
  const { header } = log;
  const [name, kind] = header.nodes[node];
  const format = formatName(formatOf(view, header, name));
  const raised = view.raised[name] ?? 0;
  const times = raised ? `; it was raised ${raised} time${raised > 1 ? "s" : ""}` : "";
  const precision = name in view.overrides && !view.over
    ? `It computes in <b>${format}</b> at this moment, `
      + `raised from ${formatName(header.formats[name])}.`
    : `It computes in <b>${format}</b>${times}.`;
  const [into, out] = [count(view.keptIn[node]), count(view.keptOut[node])];
  if (kind === "logits") {
    return `Where the circuit ends. ${into} kept edges arrive. ${precision}`;
  }
  if (kind === "input") {
    return `Where the circuit begins: token plus position. ${out} kept edges leave it.`;
  }
  const open = header.outgoing[node] - view.decidedOut[node];
  const state = {
    in: `<b>In the circuit.</b> Kept edges: ${out} out of it, ${into} into it.`,
    open: `<b>Not decided yet.</b> ${count(open)} of ${count(header.outgoing[node])} edges out of `
      + "it are still open.",
    out: "<b>Not in the circuit.</b> Nothing kept leads from it to the logits.",
  }[standing(view, header, node)];
  return `${state} ${precision}`;
}

/** A strip over all decisions: where the component computed in more bits than otherwise. */
function history({ log, view }, name) {
  const { header, raises } = log;
  const spans = raises
    .map(([step, names], i) => [step, raises[i + 1]?.[0] ?? log.decided, names])
    .filter(([from, to, names]) => to > from && names.includes(name));
  if (!spans.length) return "";
  const at = (step) => (100 * step) / Math.max(header.edges, 1);
  const bars = spans.map(([from, to]) =>
    `<i style="left:${at(from).toFixed(2)}%;width:${(at(to) - at(from)).toFixed(2)}%"></i>`);
  const words = spans.map(([from, to]) => `${count(from + 1)} to ${count(to)}`).join(", ");
  return `<h5>Raised at decisions ${words}</h5>
    <div class="obs-history" role="img" aria-label="Raised at decisions ${words}">
      ${bars.join("")}<b style="left:${at(view.step).toFixed(2)}%"></b></div>`;
}

const section = (label, n, rows) => `<h5>${label} <span>${n}</span></h5>${n
  ? `<ul class="obs-list">${rows}</ul>` : '<p class="obs-hint">None kept so far.</p>'}`;

/** Length of a bar in percent: never nothing, and the logarithm of the effect. */
const bar = (effect, log, most) => (6 + 94 * strength(effect, log.header, most)).toFixed(1);

/** Rows of edges; `other` says which end is named: "from", "to", or "both". */
export function edgeRows(edges, other, { log, encoding }) {
  return edges.map((edge) => {
    const width = bar(edge.effect, log, log.largest);
    const near = nearThreshold(edge, log.header, encoding)
      ? ' <em title="Within 20% of the threshold">≈τ</em>' : "";
    const name = other === "both" ? edge.name : log.header.nodes[edge[other]][0];
    const inner = `${badge(edge.kind)}<span>${escape(name)}${near}</span>
      <s><u style="width:${width}%"></u></s><b>${signed(edge.effect)}</b>`;
    const label = `Edge ${edge.name}, effect ${edge.effect}`;
    return `<li>${button(`data-edge="${edge.i}"`, inner, label)}</li>`;
  }).join("");
}

function overview({ view, log }) {
  const order = log.header.nodes
    .map(([name, kind], node) => ({
      name, kind, weight: view.strength[node], into: view.keptIn[node], out: view.keptOut[node],
    }))
    .filter((n) => n.weight > 0 && n.kind !== "logits" && n.kind !== "input")
    .sort((a, b) => b.weight - a.weight).slice(0, 8);
  if (!order.length) {
    return `<p class="obs-hint">Click a node or an edge; Shift adds to the selection. With the
      focus in the graph, arrow keys walk, Enter selects and Esc clears.</p>`;
  }
  const rows = order.map((n) => {
    const width = bar(n.weight, log, order[0].weight);
    const inner = `<span>${escape(n.name)}</span><s><u style="width:${width}%"></u></s>
      <b>${n.into} in, ${n.out} out</b>`;
    return `<li>${button(`data-node="${n.name}"`, inner, `Select ${spoken(n.name)}`)}</li>`;
  }).join("");
  return `<p>Components that carry most of the circuit so far. Select one here, in the graph or in
    the map.</p><ul class="obs-list">${rows}</ul>`;
}
