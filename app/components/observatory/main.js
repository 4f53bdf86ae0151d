// Graph, precision map, replay, key figures and details of one run, with one selection.
// Streamlit calls the default export whenever the data or the theme changes.

import { CircuitGraph, BUDGET } from "./graph.js";
import { damageChart } from "./chart.js";
import { edgeTab, logTab, nodeTab } from "./details.js";
import { count } from "./format.js";
import { kpis } from "./kpis.js";
import { Log } from "./log.js";
import { PrecisionMap, storedBytes } from "./map.js";
import { plotly, watchSize } from "./plot.js";
import { pathsTab } from "./paths.js";
import { Scrubber } from "./scrubber.js";
import { FRAME, budgetLine, legend, mapLine, tooltip, waiting } from "./parts.js";
import { currentTheme, publish } from "./theme.js";
import { walk } from "./walk.js";

const instances = new WeakMap();
const logs = new Map(); // run -> Log: survives a change of page

export default function mount({ data, parentElement, setStateValue, setTriggerValue }) {
  let app = instances.get(parentElement);
  if (!app) {
    app = new Observatory(parentElement);
    instances.set(parentElement, app);
  }
  app.send = { state: setStateValue, trigger: setTriggerValue };
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
    this.ui = {
      step: 0, following: true, selection: null, tab: "node", colourBy: "reads", mapMode: "now",
      logFilter: "all", budget: BUDGET, hover: null,
    };
    this.part = (name) => this.root.querySelector(`[data-part=${name}]`);
    const picked = (place) => ({
      onPick: (data) => this.select(data), onHover: (data, at) => this.hover(place, data, at),
    });
    this.graph = new CircuitGraph(this.part("graph"), picked("graph"));
    this.map = new PrecisionMap(this.part("map"), picked("map"));
    this.scrubber = new Scrubber(this.part("scrubber"), {
      seek: (step) => this.seek(step), live: () => this.follow(),
    });
    this.root.addEventListener("click", (event) => this.click(event));
    this.part("graph").addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.select(null);
    });
    const plots = [this.part("graph"), this.part("map")];
    this.unwatch = plots.map((plot) => watchSize(plot, () => this.draw()));
    plotly().then((Plotly) => { this.Plotly = Plotly; this.draw(); }, () => this.fail());
  }

  destroy() {
    this.gone = true;
    this.scrubber.stop();
    for (const stop of this.unwatch) stop();
    if (this.Plotly) for (const name of ["graph", "map"]) this.Plotly.purge(this.part(name));
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
    if (log) log.encoding = this.encoding;
    this.log = log ?? this.log;
    this.pending = this.broken ?? (log ? null : waiting(data.status));
    this.running = data.status.live;
    if (this.ui.following && this.log) this.ui.step = this.log.decided;
    this.draw();
  }

  #begin(data) {
    this.run = data.run;
    this.scrubber.stop();
    const { node, edge, step } = data.initial ?? {};
    this.ui.selection = node ? { node } : Number.isInteger(edge) ? { edge } : null;
    this.ui.following = !Number.isInteger(step);
    this.ui.step = step ?? 0;
    if (Number.isInteger(edge)) this.ui.tab = "edge";
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

  /** `data` as on a drawn point: {node}, {edge} or null. */
  select(data) {
    this.ui.selection = data ? { ...data } : null;
    if (data?.node !== undefined && this.ui.tab !== "paths") this.ui.tab = "node";
    if (data?.edge !== undefined) this.ui.tab = "edge";
    this.draw();
    this.report();
  }

  /** Tell the page what is looked at, for the URL; never while a replay moves. */
  report() {
    if (this.scrubber.playing) return;
    const { selection, following, step } = this.ui;
    const { node, edge } = selection ?? {};
    const look = { run: this.run, node, edge, step: following ? null : step };
    if (JSON.stringify(look) === this.reported) return;
    this.reported = JSON.stringify(look);
    this.send.state("look", look);
  }

  hover(place, data, at) {
    const card = this.part(`${place}-tip`);
    card.hidden = !data;
    if (!data || !this.scene) return;
    card.innerHTML = tooltip(data, this.scene);
    const box = card.parentElement.getBoundingClientRect();
    const x = Math.min(Math.max(at[0] + 14, 4), box.width - card.offsetWidth - 6);
    const above = at[1] - card.offsetHeight - 12;
    card.style.transform = `translate(${x}px, ${above < 2 ? at[1] + 16 : above}px)`;
  }

  click(event) {
    const target = event.target.closest("button");
    if (!target) return;
    const { node, edge, path, through, filter, tab, colour, map, act } = target.dataset;
    if (node) this.select({ node });
    if (edge !== undefined) this.select({ edge: Number(edge) });
    if (path) this.select({ path: path.split(",").map(Number), through: through || undefined });
    if (filter) this.ui.logFilter = filter;
    if (tab) this.ui.tab = tab;
    if (colour) this.ui.colourBy = colour;
    if (map) this.ui.mapMode = map;
    if (act === "reset") this.graph.reset();
    if (act === "all") this.ui.budget = Infinity;
    if (act === "full") this.fullscreen();
    if (filter || tab || colour || map || act) this.draw();
  }

  fullscreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.part("graph-card").requestFullscreen?.();
  }

  key(event) {
    if (!this.scene) return;
    const to = walk(event.key, this.scene, this.ui.selection);
    if (to) {
      event.preventDefault();
      this.select(to);
    } else if (event.key === " ") {
      event.preventDefault();
      this.scrubber.toggle();
    }
  }

  draw() {
    this.root.dataset.state = this.pending ? "waiting" : "shown";
    this.part("waiting").innerHTML = this.pending ?? "";
    const { log, ui, encoding } = this;
    if (!log || !encoding) return;
    const theme = currentTheme(this.root, encoding);
    publish(theme, this.root);
    const view = log.viewAt(ui.step);
    const step = Math.min(ui.step, log.decided);
    const ending = this.pending ? null : this.data.ending;
    view.over = Boolean(ending) && step >= log.decided;
    this.scene = {
      ...ui, step, log, view, theme, encoding, ending, Plotly: this.Plotly, running: this.running,
      over: view.over, status: this.data.status,
    };
    this.text();
    this.pictures();
    this.announce();
  }

  text() {
    const { scene } = this;
    Object.assign(this.root.dataset, {
      step: scene.step, edges: scene.view.kept.length, decided: scene.log.decided,
      run: scene.log.header.run,
    });
    this.part("kpis").innerHTML = kpis(scene);
    this.part("budget").innerHTML = budgetLine(scene);
    this.part("legend").innerHTML = legend(scene);
    const stored = storedBytes(scene.view, scene.log.header, scene.encoding);
    this.part("map-line").innerHTML = mapLine(scene, stored);
    this.scrubber.draw(scene);
    const tabs = { node: nodeTab, edge: edgeTab, paths: pathsTab, log: logTab };
    const body = this.part("details");
    const html = tabs[scene.tab](scene);
    if (body.dataset.tab !== scene.tab) body.scrollTop = 0;
    body.dataset.tab = scene.tab;
    if (html !== this.detailsHtml) body.innerHTML = html;
    this.detailsHtml = html;
    for (const button of this.root.querySelectorAll("[data-tab],[data-colour],[data-map]")) {
      const { tab, colour, map } = button.dataset;
      const on = (tab ?? colour ?? map) === (tab ? scene.tab : colour ? scene.colourBy : scene.mapMode);
      button.setAttribute(tab ? "aria-selected" : "aria-pressed", String(on));
    }
    const chart = this.part("chart");
    if (chart.closest("details").open) {
      chart.innerHTML = damageChart({ ...scene, width: Math.max(chart.clientWidth, 280) });
    }
  }

  /** One drawing at a time; the latest wish is drawn next. */
  async pictures() {
    if (this.gone) return;
    if (!this.Plotly || this.drawing) {
      this.again = true;
      return;
    }
    if (this.graph.element.held || this.map.element.held) {
      clearTimeout(this.soon);
      this.soon = setTimeout(() => this.pictures(), 120);
      return;
    }
    this.drawing = true;
    this.again = false;
    const began = performance.now();
    try {
      await this.graph.draw(this.scene);
      await this.map.draw(this.scene);
      this.root.dataset.drawn = this.scene.step;
      this.root.dataset.ms = Math.round(performance.now() - began);
    } finally {
      this.drawing = false;
    }
    // Leave the page time for everything else while a replay runs.
    if (this.again) setTimeout(() => this.pictures(), Math.min(performance.now() - began, 120));
  }

  announce() {
    const { view, log } = this.scene;
    const layer = /^[am](\d+)/.exec(view.receiver ?? "")?.[1];
    const where = this.scene.over ? "Finished" : layer ? `Layer ${layer}` : "Logits";
    if (where === this.announced) return;
    this.announced = where;
    const kept = `${count(view.kept.length)} edges kept`;
    this.part("live").textContent = `${where}. ${kept} of ${count(view.step)} decided.`;
    const { task, model } = log.header;
    this.part("graph").setAttribute("aria-label",
      `Circuit of ${task} in ${model}: ${kept}. Arrow keys walk over the nodes.`);
  }

  fail() {
    this.broken = "<div><b>The pictures cannot be drawn.</b><p>plotly.js did not load from this "
      + "app's own server. Reload the page; if that does not help, start the app again.</p></div>";
    this.pending = this.broken;
    this.draw();
  }
}
