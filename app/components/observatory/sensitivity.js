// The map's mode Sensitivity: how far the prediction moves when one component alone computes in a
// low format. pahq/viz/sensitivity.py says which format is drawn and where a cost lies.

import { inkOn, nothing, ramp } from "./colours.js";
import { button, count, escape, formatName, measure } from "./format.js";
import { formatOf } from "./log.js";

const of = ({ measured }) => measured.sensitivity;
const given = (name, { view, log, measured }) =>
  measured.sensitivity.formats[name] ?? formatOf({ ...view, over: true }, log.header, name);

/** "INT8 costs 2.1e-5 nats, BF16 3.0e-8; assigned INT8" */
function costs(name, scene) {
  const { unit, costs: all } = of(scene);
  const words = Object.entries(all[name] ?? {}).map(([format, cost], i) =>
    `${formatName(format)} ${i ? measure(cost) : `costs <b>${measure(cost)}</b> ${unit}`}`);
  return `${words.join(", ") || "not measured"}; assigned ${formatName(given(name, scene))}`;
}

export const SENSITIVITY = {
  label: "Sensitivity", hint: "What a low format costs in each component alone",
  file: "sensitivity",
  shows: (scene) => `cost of ${formatName(of(scene).compared)} in one component alone`,
  line(scene) {
    const { noise, noise_budget: budget, unit, pairs } = of(scene);
    const allowed = budget === null ? "" : ` of ${measure(budget)} allowed`;
    const parts = [
      noise !== null && `noise ${measure(noise)}${allowed}, ${escape(unit)}`,
      pairs !== null && `${count(pairs)} pairs`,
    ];
    return parts.filter(Boolean).join(" · ");
  },
  note: (scene) => `KL from FP32 with one component alone in ${formatName(of(scene).compared)};
    letter: bits it was given.`,
  scale(scene) {
    const { least, most, unit } = of(scene);
    const to = `${measure(most)} ${escape(unit)}`;
    return { stops: scene.theme.cost, from: measure(least), to };
  },
  looks(scene) {
    const { theme, encoding } = scene;
    return (name) => {
      const cell = of(scene).cells[name];
      const fill = cell ? ramp(theme.cost, cell[2]) : nothing(theme);
      return [fill, String(encoding.bits[given(name, scene)] ?? 32), inkOn(fill, theme)];
    };
  },
  about(names, scene) {
    if (names.length === 1) return `<p>${costs(names[0], scene)}</p>`;
    const { cells, unit } = of(scene);
    const known = names.filter((name) => cells[name]);
    if (!known.length) return "<p>not measured</p>";
    const most = known.reduce((a, b) => (cells[b][1] > cells[a][1] ? b : a));
    const [format, cost] = cells[most];
    return `<p>most sensitive: ${escape(most)}, ${formatName(format)} costs ${measure(cost)}
      ${escape(unit)}</p>`;
  },
  table(scene) {
    const { costs: all, unit, cells } = of(scene);
    const formats = [...new Set(Object.values(all).flatMap(Object.keys))];
    const rows = scene.log.header.nodes.map(([name]) => name)
      .sort((a, b) => (cells[b]?.[1] ?? -1) - (cells[a]?.[1] ?? -1))
      .map((name) => [
        button(`data-node="${name}"`, escape(name)), formatName(given(name, scene)),
        ...formats.map((format) => measure(all[name]?.[format])),
      ]);
    return {
      caption: `What a format costs in one component alone, in ${escape(unit)}`,
      columns: ["Component", "Assigned", ...formats.map(formatName)], rows,
    };
  },
  key: (scene) => [of(scene).compared, of(scene).least, of(scene).most],
  veil: false,
};
