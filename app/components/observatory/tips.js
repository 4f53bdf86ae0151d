// The card at the mouse: what lies under it.

import { damageBefore, planOf } from "./edge_tab.js";
import { clock, count, escape, measure, signed, spoken } from "./format.js";
import { standing } from "./log.js";
import { MODES } from "./modes.js";

/** HTML of the card; `place` is the picture: "graph" or "map". */
export function tooltip(data, scene, place) {
  if (data.layer !== undefined) {
    const whole = scene.ui.collapsed.has(data.layer);
    return `Layer ${data.layer}: click to show it ${whole ? "in its parts" : "as one node"}`;
  }
  if (data.edges?.length > 1) return bundleTip(data.edges, scene);
  if (data.edges) return edgeTip(scene.log.decision(data.edges[0]), scene);
  const mode = place === "map" ? scene.mode : MODES.now;
  const about = mode.about(data.nodes, scene);
  return (data.nodes.length > 1 ? nodesTip : nodeTip)(data.nodes, about, scene);
}

function edgeTip(edge, { log }) {
  const { header } = log;
  const verdict = `${edge.kept ? "kept" : "removed"}`;
  const [before, after] = [measure(damageBefore(log, edge.i)), measure(edge.damage)];
  return `<code>${escape(edge.name)}</code>
    <p>effect <b>${signed(edge.effect)}</b> ${header.unit}, τ ${measure(header.threshold)}:
      ${verdict}</p><p>damage ${before} → ${after}</p><p>${planOf(log, edge)}</p>
    <p>decision ${count(edge.i + 1)} of ${count(header.edges)}, at ${clock(edge.t)}</p>`;
}

function bundleTip(ids, { log }) {
  const edges = ids.map((i) => log.decision(i));
  const sum = edges.reduce((total, edge) => total + edge.effect, 0);
  const best = edges.reduce((a, b) => (Math.abs(b.effect) > Math.abs(a.effect) ? b : a));
  return `<b>${count(edges.length)} edges</b><p>effects add up to <b>${signed(sum)}</b>
    ${log.header.unit}</p><p>strongest: <code>${escape(best.name)}</code></p>`;
}

function nodeTip([name], about, { view, log }) {
  const { header } = log;
  const node = header.nodes.findIndex(([other]) => other === name);
  const words = { in: "in the circuit", open: "not decided yet", out: "not in the circuit" };
  const state = words[standing(view, header, node)];
  return `<code>${escape(name)}</code> <span>${escape(spoken(name))}</span>${about}
    <p>${state} · ${count(view.keptIn[node])} in, ${count(view.keptOut[node])} out</p>`;
}

function nodesTip(names, about, { view, log }) {
  const { header } = log;
  const nodes = names.map((name) => header.nodes.findIndex(([other]) => other === name));
  const inside = nodes.filter((node) => standing(view, header, node) === "in").length;
  return `<b>${names.length} components</b><p>${escape(names[0])} to ${escape(names.at(-1))}</p>
    ${about}<p>${inside} in the circuit</p>`;
}
