// Each picture as a table: the same facts for whoever reads rather than looks.

import { nearThreshold } from "./bundle.js";
import { count, escape, measure, signed } from "./format.js";

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

export function mapTable(scene) {
  const { caption, columns, rows } = scene.mode.table(scene);
  return table(caption, columns, rows);
}

export function damageTable({ view, log }) {
  const points = view.damages;
  const every = Math.max(1, Math.ceil(points.length / MOST_ROWS));
  const some = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  return table("Damage while edges are cut",
    ["Decision", "Edges remaining", `Damage (${log.header.unit})`],
    some.map(([remaining, damage, step]) => [count(step), count(remaining), measure(damage)]));
}
