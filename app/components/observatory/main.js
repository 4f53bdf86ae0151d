// Graph, precision map, replay, key figures and details of one run, with one selection.
// Streamlit calls the default export whenever the data or the theme changes.

import { actionsOf } from "./actions.js";
import { arrange } from "./arrange.js";
import { drawnEdges } from "./bundle.js";
import { setButtons } from "./buttons.js";
import { damageChart } from "./chart.js";
import { edgeTab, logTab } from "./edge_tab.js";
import { capital, count } from "./format.js";
import { CircuitGraph } from "./graph.js";
import { kpis } from "./kpis.js";
import { Log } from "./log.js";
import { START, lookOf, restore } from "./look.js";
import { PrecisionMap } from "./map.js";
import { MODES, noteLine, shownMode } from "./modes.js";
import { nodeTab } from "./node_tab.js";
import { outcomeCard } from "./outcome.js";
import { Pace } from "./pace.js";
import { FRAME, NOTHING, budgetLine, legend, waiting } from "./parts.js";
import { closeDrawer, tellStrip } from "./page.js";
import { pathsTab } from "./paths.js";
import { plotly } from "./plot.js";
import { Scrubber } from "./scrubber.js";
import { pickedOn } from "./selection.js";
import { damageTable, edgeTable, mapTable } from "./tables.js";
import { currentTheme, publish } from "./theme.js";
import { tooltip } from "./tips.js";

const PATIENCE = 5000; // ms within which a page that was asked for has begun
const NARROW = 560; // px of width below which a finger on the graph scrolls the page
const TABS = { node: nodeTab, edge: edgeTab, paths: pathsTab, log: logTab };
const TEXTS = ["kpis", "budget", "legend", "map-line", "map-note", "outcome", "details", "chart"];
const TABLES = { graph: edgeTable, map: mapTable, chart: damageTable };
const instances = new WeakMap();
const logs = new Map(); // run -> Log: survives a change of page

export default function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  let app = instances.get(parentElement);
  if (!app) {
    app = new Observatory(parentElement);
    instances.set(parentElement, app);
  }
  const unlessLeft = (send) => (name, value) => { if (!app.left) send(name, value); };
  app.send = { state: unlessLeft(setStateValue), trigger: unlessLeft(setTriggerValue) };
  app.update(data);
  // Streamlit also calls this for an update that a newer one has overtaken; only when our
  // element has left the page is it really over.
  return () => {
    if (parentElement.isConnected) return;
    instances.delete(parentElement);
    app.destroy();
  };
}

class Observatory {
  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "obs";
    this.root.innerHTML = FRAME;
    parent.appendChild(this.root);
    this.ui = START();
    this.html = {};
    this.part = (name) => this.root.querySelector(`[data-part=${name}]`);
    const pointed = (place) => ({
      onPick: (data, event) => this.pick(data, event.shiftKey),
      onHover: (data, at) => this.hover(place, data, at),
      onResize: () => this.draw(),
    });
    this.graph = new CircuitGraph(this.part("graph"), pointed("graph"));
    this.map = new PrecisionMap(this.part("map"), pointed("map"));
    this.scrubber = new Scrubber(this.part("scrubber"), {
      seek: (step) => this.seek(step), live: () => this.follow(),
    });
    this.pace = new Pace((level) => this.send.state("cost", level));
    const more = () => this.#more();
    this.part("details").addEventListener("scroll", more, { passive: true });
    this.sizes = new ResizeObserver(more);
    this.sizes.observe(this.part("details"));
    this.stopListening = actionsOf(this);
    plotly().then((Plotly) => { this.Plotly = Plotly; this.draw(); }, () => this.fail());
  }

  destroy() {
    this.gone = true;
    clearTimeout(this.staying);
    this.scrubber.stop();
    this.stopListening();
    this.sizes.disconnect();
    this.graph.destroy();
    this.map.destroy();
    this.root.remove();
  }

  update(data) {
    this.data = data;
    if (data.header && data.from === 0 && !logs.get(data.run)?.rows.length) {
      logs.set(data.run, new Log({ ...data.header, run: data.run }));
    }
    const log = logs.get(data.run);
    if (this.run !== data.run) this.#begin(data);
    if (log && !log.take(data.from, data.rows)) this.send.trigger("resync", Date.now());
    if (!log && data.from > 0) this.send.trigger("resync", Date.now());
    this.encoding = data.encoding ?? this.encoding;
    this.log = log ?? null; // never the run before: its figures are not this one's
    this.nothing = !data.status.live && data.from === 0 && !data.header;
    this.pending = this.broken ?? (this.nothing ? NOTHING : log ? null : waiting(data.status));
    this.running = data.status.live;
    if (this.ui.following && this.log) this.ui.step = this.log.decided;
    this.draw();
  }

  /** Another page was asked for: be silent until it is there, or go on if it does not come. */
  leave() {
    this.left = true;
    clearTimeout(this.staying);
    this.staying = setTimeout(() => { this.left = false; this.report(); }, PATIENCE);
  }

  #begin(data) {
    this.run = data.run;
    if (data.status.live) closeDrawer();
    this.scrubber.stop();
    Object.assign(this.ui, { cursor: null, collapsed: new Set() });
    restore(this.ui, data.initial ?? {});
  }

  seek(step) {
    this.ui.following = false;
    this.ui.step = step;
    this.draw();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.report(), 600);
  }

  follow() {
    this.ui.following = true;
    this.ui.step = this.log?.decided ?? 0;
    this.draw();
    this.report();
  }

  /** What was clicked in a picture: {layer}, {nodes}, {edges} or null. */
  pick(data, adding) {
    if (data?.layer !== undefined) this.collapse([data.layer]);
    else this.select(data, adding);
  }

  select(data, adding = false) {
    this.ui.selection = pickedOn(this.ui.selection, data, adding);
    if (data?.nodes && this.ui.tab !== "paths") this.ui.tab = "node";
    if (data?.edges && !data.path) this.ui.tab = "edge";
    this.show();
  }

  /** Show layers as one node, or those that already are in their parts. */
  collapse(layers) {
    const { collapsed } = this.ui;
    const open = layers.filter((layer) => !collapsed.has(layer));
    for (const layer of layers) collapsed.delete(layer);
    for (const layer of open) collapsed.add(layer);
    this.ui.cursor = null;
    this.show();
  }

  /** Draw what has changed, and keep it in the URL. */
  show() {
    this.draw();
    this.report();
  }

  get look() {
    return lookOf(this.ui, this.run);
  }

  /** Tell the page what is looked at, for the URL; never while a replay moves. */
  report() {
    if (this.scrubber.playing || this.left) return;
    const look = JSON.stringify(this.look);
    if (look === this.reported) return;
    this.reported = look;
    this.send.state("look", this.look);
  }

  hover(place, data, at) {
    const card = this.part(`${place}-tip`);
    card.hidden = !data;
    if (!data || !this.scene) return;
    card.innerHTML = tooltip(data, this.scene, place);
    const box = card.parentElement.getBoundingClientRect();
    const x = Math.min(Math.max(at[0] + 14, 4), box.width - card.offsetWidth - 6);
    const above = at[1] - card.offsetHeight - 12;
    card.style.transform = `translate(${x}px, ${above < 2 ? at[1] + 16 : above}px)`;
  }

  draw() {
    this.root.dataset.state = this.nothing ? "nothing" : this.pending ? "waiting" : "shown";
    this.put("waiting", this.pending ?? "");
    if (!this.log) this.#forget();
    if (!this.encoding || document.hidden) return;
    const began = performance.now();
    const theme = currentTheme(this.root, this.encoding);
    if (theme !== this.theme) publish(theme, this.root);
    this.theme = theme;
    if (!this.log) return;
    this.scene = this.#scene(theme);
    this.text();
    this.textMs = performance.now() - began;
    this.pictures();
    this.announce();
  }

  /** Everything that the parts need to know about the moment that is shown. */
  #scene(theme) {
    const { log, ui, encoding, running, data } = this;
    const view = log.viewAt(ui.step);
    const step = Math.min(ui.step, log.decided);
    const ending = this.pending ? null : data.ending;
    const over = Boolean(ending) && step >= log.decided;
    view.over = over;
    const places = ui.compact && ending ? data.compact : null;
    const arrangement = arrange(log.header, { places, collapsed: ui.collapsed });
    const scene = {
      ...ui, ui, step, log, view, theme, encoding, ending, running, over, arrangement,
      measured: data.measured, mode: MODES[shownMode(ui.mapMode, data.measured)],
      run: log.header.run, Plotly: this.Plotly, status: data.status, canCompact: data.compact,
      narrow: this.root.clientWidth < NARROW && !document.fullscreenElement,
      widths: { track: this.part("scrubber").querySelector(".obs-track").clientWidth,
        chart: this.part("chart").clientWidth },
    };
    scene.drawn = drawnEdges(scene);
    return scene;
  }

  /** Say that the details go on below, where they do. */
  #more() {
    const { scrollHeight, scrollTop, clientHeight } = this.part("details");
    this.part("more").hidden = scrollHeight - scrollTop - clientHeight < 8;
  }

  /** Nothing is known of the run on screen: what belongs to another one goes. */
  #forget() {
    for (const name of ["step", "edges", "decided", "run", "lines", "drawn"]) {
      delete this.root.dataset[name];
    }
    for (const name of TEXTS) this.put(name, "");
    this.scene = null;
  }

  /** Replace the inside of a part if it has changed: what has the focus there keeps it. */
  put(name, html) {
    if (html === this.html[name]) return false;
    this.part(name).innerHTML = html;
    this.html[name] = html;
    return true;
  }

  text() {
    const { scene } = this;
    Object.assign(this.root.dataset, {
      step: scene.step, edges: scene.view.kept.length, decided: scene.log.decided,
      run: scene.run, lines: scene.drawn.edges.length,
    });
    tellStrip(scene.status);
    this.put("kpis", kpis(scene));
    this.put("budget", budgetLine(scene));
    this.put("legend", legend(scene));
    this.put("map-line", scene.mode.line(scene));
    this.put("map-note", noteLine(scene));
    this.put("outcome", outcomeCard(scene));
    this.scrubber.draw(scene);
    const body = this.part("details");
    if (body.dataset.tab !== scene.tab) body.scrollTop = 0;
    body.dataset.tab = scene.tab;
    if (this.put("details", TABS[scene.tab](scene))) requestAnimationFrame(() => this.#more());
    setButtons(this.root, scene);
    this.part("map").setAttribute("aria-label", capital(scene.mode.shows(scene)));
    for (const [name, table] of Object.entries(TABLES)) {
      const shown = scene.ui.tables.has(name);
      this.part(`${name}-table`).hidden = !shown;
      this.part(name).classList.toggle("obs-away", shown);
      if (shown) this.put(`${name}-table`, table(scene));
    }
    const chart = this.part("chart");
    if (chart.closest("details").open && !scene.ui.tables.has("chart")) {
      this.put("chart", damageChart({ ...scene, width: Math.max(scene.widths.chart, 280) }));
    }
  }

  /** One drawing at a time; the latest wish is drawn next. */
  async pictures() {
    if (this.gone || !this.scene) return;
    if (!this.Plotly || this.drawing) {
      this.again = true;
      return;
    }
    if (this.graph.held || this.map.held) {
      clearTimeout(this.soon);
      this.soon = setTimeout(() => this.pictures(), 120);
      return;
    }
    this.drawing = true;
    this.again = false;
    const began = performance.now();
    const { scene } = this;
    try {
      await this.graph.draw(scene);
      await this.map.draw(scene);
      const spent = performance.now() - began + this.textMs;
      Object.assign(this.root.dataset, { drawn: scene.step, ms: Math.round(spent) });
      this.pace.note(spent, scene.running);
    } finally {
      this.drawing = false;
    }
    // Leave the page time for everything else while a replay runs.
    if (this.again) setTimeout(() => this.pictures(), Math.min(performance.now() - began, 120));
  }

  announce() {
    const { view, log, over } = this.scene;
    const layer = /^[am](\d+)/.exec(view.receiver ?? "")?.[1];
    const where = over ? "Finished" : layer ? `Layer ${layer}` : "Logits";
    if (where === this.announced) return;
    this.announced = where;
    const kept = `${count(view.kept.length)} edges kept`;
    this.say(`${where}. ${kept} of ${count(view.step)} decided.`);
    const { task, model } = log.header;
    this.part("graph").setAttribute("aria-label",
      `Circuit of ${task} in ${model}: ${kept}. Arrow keys walk over the nodes.`);
  }

  /** Words for a screen reader. */
  say(words) {
    this.part("live").textContent = words;
  }

  fail() {
    this.broken = "<div><b>The pictures cannot be drawn.</b><p>plotly.js did not load from this "
      + "app's own server. Reload the page; if that does not help, start the app again.</p></div>";
    this.pending = this.broken;
    this.draw();
  }
}
