// How the component's buttons stand: pressed, disabled, hidden.

import { count } from "./format.js";
import { MODES } from "./modes.js";

const KINDS = ["tab", "colour", "map", "table", "toggle"];
const BUTTONS = KINDS.map((kind) => `button[data-${kind}]`).join(",");

/** Set the buttons inside `root` as `scene` is. */
export function setButtons(root, scene) {
  const { ui, drawn, canCompact, log, mode, measured } = scene;
  const pressed = {
    tab: (name) => ui.tab === name,
    colour: (name) => ui.colourBy === name,
    map: (name) => MODES[name] === mode,
    table: (name) => ui.tables.has(name),
    toggle: (name) => ({
      compact: ui.compact && Boolean(canCompact), merged: ui.merged, loose: ui.hideLoose,
      layers: ui.collapsed.size === log.header.size.layers,
    })[name],
  };
  for (const button of root.querySelectorAll(BUTTONS)) {
    const [kind, value] = Object.entries(button.dataset)[0];
    const attribute = kind === "tab" ? "aria-selected" : "aria-pressed";
    button.setAttribute(attribute, String(pressed[kind](value)));
    if (kind === "map") setMode(button, MODES[value], measured.refused[value]);
  }
  const toggle = (name) => root.querySelector(`[data-toggle=${name}]`);
  toggle("compact").disabled = !canCompact;
  toggle("loose").hidden = !drawn.loose.nodes.size;
  toggle("loose").textContent = `Hide ${count(drawn.loose.nodes.size)} dangling`;
}

/** A mode without data can still be pressed: then the line below the map says why it has none. */
function setMode(button, { hint }, why) {
  button.setAttribute("aria-disabled", String(Boolean(why)));
  button.title = why ?? hint;
}
