// What presses of buttons and keys do. A button says it by its data attributes.

import { namesOf } from "./arrange.js";
import { download } from "./download.js";
import { spoken } from "./format.js";
import { linkTo } from "./look.js";
import { isPageLink } from "./page.js";
import { mainNode } from "./selection.js";
import { nextEdge, walk } from "./walk.js";

/** Attribute -> what it does with its value. */
const BUTTONS = {
  node: (app, name, event) => app.select({ nodes: [name] }, event.shiftKey),
  main: (app, name) => {
    const rest = app.ui.selection.nodes.filter((other) => other !== name);
    app.ui.selection = { nodes: [...rest, name] };
    app.show();
  },
  edge: (app, i) => app.select({ edges: [Number(i)] }),
  path: (app, ids, event, { through }) => app.select({
    edges: ids.split(",").map(Number), path: true, through: through || undefined,
  }),
  filter: (app, name) => set(app, "logFilter", name),
  tab: (app, name) => set(app, "tab", name),
  colour: (app, name) => set(app, "colourBy", name),
  map: (app, name) => {
    set(app, "mapMode", name);
    app.say(app.part("map-note").querySelector("p").textContent);
  },
  hide: (app, kind) => flip(app, app.ui.hidden, kind),
  table: (app, name) => flip(app, app.ui.tables, name),
  toggle: (app, name) => toggle(app, name),
  save: (app, file) => {
    const [name, kind] = file.split(".");
    closeMenus(app);
    download(name === "map" ? app.map : app.graph, name, kind);
  },
  threshold: (app, value) => app.send.trigger("threshold", Number(value)),
  act: (app, name, event) => ACTS[name](app, event.target.closest("button")),
};

const ACTS = {
  reset: (app) => app.graph.reset(),
  raise: (app) => set(app, "budget", 2 * app.ui.budget),
  all: (app) => set(app, "hidden", new Set()),
  full: (app) => {
    if (document.fullscreenElement) document.exitFullscreen();
    else app.part("graph-card").requestFullscreen?.();
  },
  link: async (app, button) => {
    await navigator.clipboard.writeText(linkTo(app.look));
    app.say("Link copied");
    button.dataset.done = "Copied";
    setTimeout(() => delete button.dataset.done, 1500);
  },
};

function set(app, name, value) {
  app.ui[name] = value;
  app.show();
}

function flip(app, names, name) {
  if (!names.delete(name)) names.add(name);
  app.show();
}

function toggle(app, name) {
  const { ui, log } = app;
  if (name === "compact") ui.compact = !ui.compact;
  if (name === "merged") ui.merged = !ui.merged;
  if (name === "loose") ui.hideLoose = !ui.hideLoose;
  if (name === "layers") {
    const all = [...Array(log.header.size.layers).keys()];
    const whole = ui.collapsed.size === all.length;
    ui.collapsed = new Set(whole ? [] : all);
  }
  app.show();
}

const closeMenus = (app, but) => {
  for (const menu of app.root.querySelectorAll("details.obs-menu[open]")) {
    if (menu !== but) menu.open = false;
  }
};

/** Listen to `app`'s buttons and keys; returns how to stop. */
export function actionsOf(app) {
  app.root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    for (const [name, value] of Object.entries(button?.dataset ?? {})) {
      BUTTONS[name]?.(app, value, event, button.dataset);
    }
  });
  app.part("graph").addEventListener("keydown", (event) => key(app, event));
  app.root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    closeMenus(app);
    app.ui.cursor = null;
    app.hover("graph", null);
    app.select(null);
  });
  const beside = (event) => closeMenus(app, event.target.closest?.("details.obs-menu"));
  const seen = () => app.draw(); // what came while the tab was hidden
  const leaves = ({ target }) => { if (isPageLink(target)) app.leave(); };
  document.addEventListener("click", leaves, true);
  document.addEventListener("pointerdown", beside);
  document.addEventListener("visibilitychange", seen);
  document.addEventListener("fullscreenchange", seen);
  return () => {
    document.removeEventListener("click", leaves, true);
    document.removeEventListener("pointerdown", beside);
    document.removeEventListener("visibilitychange", seen);
    document.removeEventListener("fullscreenchange", seen);
  };
}

/** Keys while the graph has the focus. */
function key(app, event) {
  const { scene, ui } = app;
  if (!scene || event.ctrlKey || event.metaKey || event.altKey) return;
  const to = walk(event.key, scene);
  const here = scene.arrangement.nodes.find(({ id }) => id === ui.cursor);
  const letter = event.key.toLowerCase();
  if (to) {
    moveTo(app, to);
  } else if (event.key === "Enter" && here) {
    app.select({ nodes: namesOf(here, scene.log.header) }, event.shiftKey);
  } else if (letter === "e") {
    const edge = nextEdge(scene, here?.kind === "layer" ? null : ui.cursor);
    if (edge !== null) app.select({ edges: [edge] });
  } else if (letter === "g") {
    const node = here ?? scene.arrangement.nodes.find(({ id }) => id === mainNode(ui.selection));
    if (scene.arrangement.floors.some(({ layer }) => layer === node?.layer)) {
      app.collapse([node.layer]);
    }
  } else if (event.key === " ") {
    app.scrubber.toggle();
  } else {
    return;
  }
  event.preventDefault();
}

/** Put the cursor on a drawn node, with its card, and name it. */
function moveTo(app, node) {
  app.ui.cursor = node.id;
  app.draw();
  const names = namesOf(node, app.scene.log.header);
  app.hover("graph", { nodes: names }, app.graph.placeOf(node.id));
  app.say(node.kind === "layer" ? `layer ${node.layer}` : spoken(names[0]));
}
