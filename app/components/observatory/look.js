// What the reader looks at, as the page keeps it in the URL.

import { BUDGET } from "./graph.js";
import { fromUrl, toUrl } from "./selection.js";

const TABS = ["node", "edge", "paths", "log"];
const COLOURS = ["reads", "sign", "order"];
const MAPS = { raised: "ever", sensitivity: "sensitivity", flips: "flips" }; // word -> mode

/** How the component looks before anything is chosen. */
export const START = () => ({
  step: 0, following: true, selection: null, tab: "node", colourBy: "reads", mapMode: "now",
  logFilter: "all", budget: BUDGET, cursor: null, compact: false, merged: false, hideLoose: false,
  collapsed: new Set(), hidden: new Set(), tables: new Set(),
});

/** Set `ui` as the URL asks: {node, edge, step, view}. Unknown words in `view` are passed over. */
export function restore(ui, initial) {
  const { step, view = "" } = initial;
  ui.selection = fromUrl(initial);
  ui.following = !Number.isInteger(step);
  ui.step = step ?? 0;
  if (Number.isInteger(initial.edge)) ui.tab = "edge";
  for (const word of view.split(".")) {
    const layer = /^l(\d+)$/.exec(word);
    if (layer) ui.collapsed.add(Number(layer[1]));
    if (TABS.includes(word)) ui.tab = word;
    if (COLOURS.includes(word)) ui.colourBy = word;
    if (word in MAPS) ui.mapMode = MAPS[word];
    if (word === "compact") ui.compact = true;
    if (word === "qkv") ui.merged = true;
    if (word === "paths-only") ui.hideLoose = true;
  }
}

/** The opposite of `restore`. */
export function lookOf(ui, run) {
  const expected = ui.selection?.edges && !ui.selection.path ? "edge" : "node";
  const words = [
    ui.tab !== expected && ui.tab, ui.colourBy !== "reads" && ui.colourBy,
    Object.keys(MAPS).find((word) => MAPS[word] === ui.mapMode),
    ui.compact && "compact", ui.merged && "qkv",
    ui.hideLoose && "paths-only", ...[...ui.collapsed].map((layer) => `l${layer}`),
  ];
  return {
    run, ...toUrl(ui.selection), step: ui.following ? null : ui.step,
    view: words.filter(Boolean).join(".") || null,
  };
}

/** The page's address with this look, for whoever is to see the same. */
export function linkTo(look) {
  const url = new URL(window.location.href);
  for (const [name, value] of Object.entries(look)) {
    if (value === null || value === undefined) url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  return url.href;
}
