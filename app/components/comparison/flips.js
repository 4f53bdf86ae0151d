// The edges with different verdicts, those nearest to the threshold first.

import { button, count, escape, measure } from "../pahq.observatory/format.js";

/** An effect with the digits that tell it from the threshold beside it. */
function near(effect) {
  const text = effect && Math.abs(effect) >= 1e-4 ? effect.toPrecision(4) : measure(effect);
  return (effect > 0 ? "+" : "") + text.replace("-", "−");
}

/** A distance to the threshold; never "0%", which would say that they are the same. */
function apart(share) {
  if (share < 0.0005) return "<0.1%";
  return `${(100 * share).toFixed(share < 0.1 ? 1 : 0)}%`;
}

export function flipList({ flips, flipped, names, unit, threshold, causes }, lit) {
  if (!flipped) {
    return `<div class="cmp-none"><b>No edge changed its verdict.</b>
      <p>${escape(names[1])} keeps exactly the edges that ${escape(names[0])} keeps.</p></div>`;
  }
  const rows = flips.map((flip) => row(flip, { names, lit, causes })).join("");
  const more = flipped - flips.length;
  const used = [...new Set(flips.map((flip) => flip.cause))];
  return `<header><h3>${count(flipped)} ${flipped === 1 ? "edge" : "edges"} with another verdict</h3>
      <p>threshold ${threshold} ${escape(unit)}; choose an edge to find it</p></header>
    <div class="cmp-scroll"><table>
      <thead><tr><th>Edge</th><th>${escape(names[0])}</th><th>${escape(names[1])}</th>
        <th>To τ</th><th>Cause</th></tr></thead>
      <tbody>${rows}</tbody></table>
    ${more > 0 ? `<p class="cmp-budget">and ${count(more)} further from the threshold</p>` : ""}</div>
    <dl>${used.map((cause) => `<div><dt>${cause}</dt><dd>${escape(causes[cause])}</dd></div>`).join("")}</dl>`;
}

function row({ edge, effects, kept, distance, cause }, { names, lit, causes }) {
  const side = (i) => {
    const verdict = kept[i] ? "kept" : "cut";
    return `<td data-label="${escape(names[i])}" data-verdict="${verdict}">
      ${near(effects[i])}<small>${verdict}</small></td>`;
  };
  const only = kept[0] ? "reference" : "other";
  return `<tr data-lit="${edge === lit}">
    <th scope="row">${button(
      `data-edge="${escape(edge)}" aria-pressed="${edge === lit}"`,
      `<i class="cmp-stroke" data-line="${only}"></i><code>${escape(edge)}</code>`,
    )}</th>
    ${side(0)}${side(1)}
    <td data-label="distance to τ">${apart(distance)}</td>
    <td data-label="cause"><span class="cmp-cause" title="${escape(causes[cause])}">${cause}</span></td></tr>`;
}
