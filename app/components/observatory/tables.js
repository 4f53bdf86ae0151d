// Each picture as a table: the same facts for whoever reads rather than looks.

import { nearThreshold } from "./bundle.js";
import { count, escape, formatName, measure, signed } from "./format.js";
import { formatOf, standing } from "./log.js";

const STATES = { in: "in the circuit", open: "not decided", out: "not in the circuit" };
const MOST_ROWS = 40; // of the chart

function table(caption, columns, rows) {
  const head = columns.map((column) => `<th scope="col">${column}</th>`).join("");
  const body = rows.map(([first, ...rest]) =>
    `<tr><th scope="row">${first}</th>${rest.map((cell) => `<td>${cell}</td>`).join("")}</tr>`);
  return `<table class="obs-table"><caption>${caption}</caption>
    <thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table>`;
}

export function edgeTable({ drawn, log, encoding }) {
  const { header } = log;
  const edges = drawn.edges.flatMap((one) => one.members)
    .sort((a, b) => Math.abs(b.effect) - Math.abs(a.effect));
  const rows = edges.map((edge) => [
    `<button type="button" data-edge="${edge.i}">${escape(edge.name)}</button>`,
    signed(edge.effect), nearThreshold(edge, header, encoding) ? "yes" : "", count(edge.i + 1),
  ]);
  return table(`${count(edges.length)} kept edges, strongest first`,
    ["Edge", `Effect (${header.unit})`, "Near τ", "Decision"], rows);
}

export function formatTable({ view, log }) {
  const { header } = log;
  const rows = header.nodes.map(([name], node) => [
    `<button type="button" data-node="${name}">${escape(name)}</button>`,
    formatName(formatOf(view, header, name)), String(view.raised[name] ?? 0),
    STATES[standing(view, header, node)],
  ]);
  return table("Number format of every component", ["Component", "Format", "Raised", "State"],
    rows);
}

export function damageTable({ view, log }) {
  const points = view.damages;
  const every = Math.max(1, Math.ceil(points.length / MOST_ROWS));
  const some = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  return table("Damage while edges are cut",
    ["Decision", "Edges remaining", `Damage (${log.header.unit})`],
    some.map(([remaining, damage, step]) => [count(step), count(remaining), measure(damage)]));
}
