// What to do about a search that kept nothing, or everything.

import { measure } from "./format.js";

const STEPS = [1, 2, 3, 5];

/** The round numbers on both sides of `x`: {below, above}, with below <= x < above. */
function round(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  const near = [power, 10 * power].flatMap((unit) => STEPS.map((step) => step * unit))
    .map((value) => Number(value.toPrecision(1)));
  return {
    below: near.filter((value) => value <= x).at(-1),
    above: near.find((value) => value > x),
  };
}

/** A threshold that would change the outcome, and the words for it; null if there is no need. */
export function advice({ view, log, over }) {
  const { header, effects, decided } = log;
  const kept = view.kept.length;
  if (!over || decided < header.edges || view.step < decided) return null;
  if (kept === 0) {
    const found = effects.most > 0 ? round(effects.most).below : null;
    return {
      title: "No edge survived", threshold: found,
      why: found === null ? "No cut raised the damage at all, so no threshold keeps an edge."
        : `Try τ ≤ ${measure(found)}: the largest effect was ${measure(effects.most)} `
          + `${header.unit}.`,
    };
  }
  if (kept === header.edges) {
    const found = round(Math.max(effects.least, 1e-9)).above;
    return {
      title: "Every edge survived", threshold: found,
      why: `Try τ ≥ ${measure(found)}: the smallest effect was ${measure(effects.least)} `
        + `${header.unit}.`,
    };
  }
  return null;
}

export function outcomeCard(scene) {
  const found = advice(scene);
  if (!found) return "";
  const press = found.threshold === null ? ""
    : `<button type="button" class="obs-primary" data-threshold="${found.threshold}">
      Run with τ ${measure(found.threshold)}</button>`;
  return `<div><b>${found.title}</b><p>${found.why}</p>${press}</div>`;
}
