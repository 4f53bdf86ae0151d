// The map's mode Flips: edges whose verdict is not that of the same search in full precision,
// counted at the component that reads them.

import { countScale, inkOn, nothing, ramp, strengths } from "./colours.js";
import { button, count, escape, measure, signed } from "./format.js";

const FIRST = 4; // named in a card; the details and the table have all

/** {edge, kept, tested, effect, cause}: an edge here; verdict and effect in full precision. */
function read(log, [i, effect, cause]) {
  const edge = log.decision(i);
  const tested = edge.skipped || cause !== "not tested";
  return { edge, kept: !edge.kept, tested, effect, cause };
}

/** The flips among the decisions so far. */
export function flipsOf({ measured, view, log }) {
  const rows = measured.flips?.rows ?? [];
  return rows.filter(([i]) => i < view.step).map((row) => read(log, row));
}

/** The flip of one decision; null if full precision decides alike. */
export function flipOf({ measured, log }, i) {
  const row = measured.flips?.rows.find(([decision]) => decision === i);
  return row ? read(log, row) : null;
}

const verdict = (kept, tested) => (kept ? "kept" : tested ? "cut" : "cut untested");

/** "kept here, cut in FP32 (effect 0.0113 against 0.0094)" */
function verdicts({ edge, kept, tested, effect }) {
  const effects = [!edge.skipped && edge.effect, tested && effect].filter((x) => x !== false);
  return `${verdict(edge.kept, !edge.skipped)} here, ${verdict(kept, tested)} in FP32
    (effect ${effects.map(measure).join(" against ")})`;
}

/** Index of a node -> its flips. */
function byNode(scene) {
  const found = new Map();
  for (const flip of flipsOf(scene)) {
    const { to } = flip.edge;
    if (!found.has(to)) found.set(to, []);
    found.get(to).push(flip);
  }
  return found;
}

const mostOf = (found) => Math.max(1, ...[...found.values()].map((flips) => flips.length));
const reference = ({ measured }) => `run ${escape(measured.flips.reference)}`;

export const FLIPS = {
  label: "Flips", hint: "Edges that full precision decides otherwise", file: "flips",
  shows: ({ log }) => `edges that full precision decides otherwise, ${log.header.policy}`,
  line(scene) {
    const { edges } = scene.measured.flips;
    const far = scene.view.step < scene.log.decided ? " so far" : "";
    return `<span title="Against ${reference(scene)}">${count(flipsOf(scene).length)} of
      ${count(edges)} verdicts differ${far}</span>`;
  },
  note(scene) {
    if (!scene.measured.flips.rows.length) {
      return "Every verdict is that of full precision.";
    }
    return "Edges into each component that full precision decides otherwise; pale: none.";
  },
  scale(scene) {
    return countScale(scene.theme.flip, mostOf(byNode(scene)), scene.theme);
  },
  looks(scene) {
    const { theme, log } = scene;
    const found = byNode(scene);
    const most = mostOf(found);
    const stops = strengths(theme.flip, theme);
    const index = new Map(log.header.nodes.map(([name], node) => [name, node]));
    return (name) => {
      const number = found.get(index.get(name))?.length ?? 0;
      const fill = number ? ramp(stops, Math.sqrt(number / most)) : nothing(theme);
      return [fill, number ? String(number) : "", inkOn(fill, theme)];
    };
  },
  about(names, scene) {
    const { nodes } = scene.log.header;
    const found = flipsOf(scene).filter(({ edge }) => names.includes(nodes[edge.to][0]));
    if (!found.length) return "<p>every verdict as in full precision</p>";
    const first = names.length > 1 ? [] : found.slice(0, FIRST);
    const lines = first.map((flip) =>
      `<p><code>${escape(flip.edge.name)}</code>: ${verdicts(flip)}</p>`);
    const more = count(found.length - first.length);
    if (first.length < found.length) {
      lines.push(first.length ? `<p>and ${more} more</p>` : `<p>${more} decided otherwise</p>`);
    }
    return lines.join("");
  },
  table(scene) {
    const rows = flipsOf(scene).map((flip) => [
      button(`data-edge="${flip.edge.i}"`, escape(flip.edge.name)),
      verdict(flip.edge.kept, true), verdict(flip.kept, true),
      flip.edge.skipped ? "–" : signed(flip.edge.effect),
      flip.tested ? signed(flip.effect) : "–",
      escape(flip.cause),
    ]);
    return {
      caption: `Edges that full precision decides otherwise (${reference(scene)})`,
      columns: ["Edge", "Here", "FP32", "Effect here", "in FP32", "Cause"], rows,
    };
  },
  key: (scene) => [scene.measured.flips.reference, flipsOf(scene).length],
  veil: false,
};
