// What the precision map can show. Each mode has
//   label, hint, file   its button, the button's title, its part of a file's name
//   shows(scene)        what the picture is, in a few words
//   line(scene)         the figures in the header
//   note(scene)         one sentence below the map
//   scale(scene)        {stops, from, to}: what its colours mean; null where letters say all
//   looks(scene)        a function of a component's name that gives [fill, letter, ink]
//   about(names, scene) HTML about some cells
//   table(scene)        {caption, columns, rows}: the same facts for whoever reads
//   key(scene)          what else changes the picture
//   veil                whether what is not in the circuit is veiled

import { countScale, inkOn, nothing, ramp, strengths } from "./colours.js";
import { FLIPS } from "./flips.js";
import { button, bytes, count, escape, formatName } from "./format.js";
import { formatOf, standing } from "./log.js";
import { SENSITIVITY } from "./sensitivity.js";
import { storedBytes } from "./weights.js";

const STATES = { in: "in the circuit", open: "not decided", out: "not in the circuit" };

const bitsOf = ({ view, log, encoding }, name) =>
  encoding.bits[formatOf(view, log.header, name)] ?? 32;

function formatTable({ view, log }) {
  const { header } = log;
  const rows = header.nodes.map(([name], node) => [
    button(`data-node="${name}"`, escape(name)), formatName(formatOf(view, header, name)),
    String(view.raised[name] ?? 0), STATES[standing(view, header, node)],
  ]);
  return {
    caption: "Number format of every component",
    columns: ["Component", "Format", "Raised", "State"], rows,
  };
}

const NOW = {
  label: "Now", hint: "Bits that each component computes in", file: "precision",
  shows: ({ log }) => `number format of every component, ${log.header.policy}`,
  line(scene) {
    const stored = storedBytes(scene);
    if (stored) return `${bytes(stored.now)} vs ${bytes(stored.full)} full`;
    const bits = scene.log.header.nodes.map(([name]) => bitsOf(scene, name));
    return `${(bits.reduce((a, b) => a + b, 0) / bits.length).toFixed(1)} bits on average`;
  },
  note: ({ over }) => (over
    ? "Bits that each component computes in; outlined: in the circuit."
    : "Bits that each component computes in at this moment; ringed: under test."),
  scale: () => null,
  looks: (scene) => (name) => {
    const bits = bitsOf(scene, name);
    return [scene.theme.bits[bits], String(bits), scene.theme.bits_ink[bits]];
  },
  about(names, { view, log }) {
    const formats = new Set(names.map((name) => formatName(formatOf(view, log.header, name))));
    return `<p>computes in ${[...formats].join(" and ")}</p>`;
  },
  table: formatTable,
  key: () => null,
  veil: true,
};

const timesOf = (names, { view }) => names.reduce((sum, name) => sum + (view.raised[name] ?? 0), 0);
const mostOf = ({ view }) => Math.max(1, ...Object.values(view.raised));

const EVER = {
  label: "Ever raised", hint: "How often each component got more bits while it was under test",
  file: "raised",
  shows: ({ log }) => `how often components were raised, ${log.header.policy}`,
  line: ({ view }) => `${count(Object.keys(view.raised).length)} components raised`,
  note: ({ view }) => (Object.keys(view.raised).length
    ? "How often each component was raised to more bits so far; pale: never."
    : "No component was raised to more bits so far."),
  scale: (scene) => countScale(scene.theme.accent, mostOf(scene), scene.theme),
  looks(scene) {
    const { view, theme } = scene;
    const stops = strengths(theme.accent, theme);
    const most = mostOf(scene);
    return (name) => {
      const times = view.raised[name] ?? 0;
      const fill = times ? ramp(stops, Math.sqrt(times / most)) : nothing(theme);
      return [fill, times ? String(times) : "", inkOn(fill, theme)];
    };
  },
  about(names, scene) {
    const times = timesOf(names, scene);
    return `<p>raised ${times === 1 ? "once" : `${count(times)} times`}</p>`;
  },
  table: formatTable,
  key: () => null,
  veil: true,
};

export const MODES = { now: NOW, ever: EVER, sensitivity: SENSITIVITY, flips: FLIPS };

/** The mode that is drawn: the one asked for, or the first while that one has nothing to show. */
export const shownMode = (asked, measured) => (measured.refused[asked] ? "now" : asked);

/** The line below the map, with what its colours mean. */
export function noteLine({ mode, ui, measured, ...rest }) {
  const why = measured.refused[ui.mapMode];
  if (why) return `<p><b>${MODES[ui.mapMode].label}.</b> ${escape(why)}</p>`;
  const scene = { mode, ui, measured, ...rest };
  const scale = mode.scale(scene);
  const bar = scale ? `<span class="obs-scale" role="img"
    aria-label="Colours from ${scale.from} to ${scale.to}">${scale.from}<i
    style="background:linear-gradient(90deg,${scale.stops.join(",")})"></i>${scale.to}</span>` : "";
  return `<p>${mode.note(scene)}</p>${bar}`;
}
