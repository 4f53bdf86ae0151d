// One circuit as a graph. All graphs of the page show the same part, whoever is panned or zoomed.

import { shared, tell } from "./link.js";

const CONFIG = {
  displayModeBar: false, displaylogo: false, showSendToCloud: false, doubleClick: false,
  responsive: false, scrollZoom: false,
};
const DIM = 0.12; // what is not the lit edge
const coarse = matchMedia("(pointer: coarse)");

export class Graph {
  constructor(element, redraw) {
    this.element = element;
    this.observer = new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== this.width) redraw();
    });
    this.observer.observe(element);
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  destroy(Plotly) {
    this.observer.disconnect();
    Plotly?.purge(this.element);
  }

  /**
   * Draw a figure. `hidden` names the kinds of edges that the legend has switched off, `look`
   * tells how the lit edge is drawn here.
   */
  async draw(Plotly, figure, { theme, hidden = new Set(), look }) {
    this.Plotly = Plotly;
    this.home = [...figure.layout.xaxis.range, ...figure.layout.yaxis.range];
    this.width = this.element.clientWidth;
    const lit = shared.edge;
    const traces = figure.data
      .filter((trace) => !hidden.has(trace.meta))
      .map((trace) => (lit && trace.mode === "lines" ? { ...trace, opacity: DIM } : trace));
    if (lit) {
      const { x, y } = lit.path;
      traces.push({ type: "scatter", mode: "lines", hoverinfo: "skip", x, y, line: look(lit) });
    }
    await Plotly.react(this.element, traces, this.#layout(figure, theme), CONFIG);
    if (this.bound) return;
    this.bound = true;
    this.element.on("plotly_relayout", (change) => this.#moved(change));
    this.element.on("plotly_doubleclick", () => tell("range", null));
  }

  /** Show what the other graphs show. */
  follow() {
    if (!this.Plotly || !this.bound) return;
    const [x0, x1, y0, y1] = shared.range ?? this.home;
    const now = this.#range();
    if ([x0, x1, y0, y1].every((value, i) => Math.abs(value - now[i]) < 1e-9)) return;
    this.Plotly.relayout(this.element, { "xaxis.range": [x0, x1], "yaxis.range": [y0, y1] });
  }

  /** Zoom by a factor about a point, the middle by default. */
  zoom(factor, centre = null) {
    const [x0, x1, y0, y1] = this.#range();
    const [x, y] = centre ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    const about = (middle, value) => middle + (value - middle) * factor;
    tell("range", [about(x, x0), about(x, x1), about(y, y0), about(y, y1)]);
  }

  #layout({ layout }, theme) {
    const { template, ...rest } = layout;
    const [x0, x1, y0, y1] = shared.range ?? this.home;
    const font = { family: theme.font, size: 12, color: theme.muted };
    return {
      ...rest, font, width: this.width, dragmode: coarse.matches ? false : "pan",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      xaxis: { ...rest.xaxis, range: [x0, x1], fixedrange: coarse.matches },
      yaxis: {
        ...rest.yaxis, range: [y0, y1], fixedrange: coarse.matches, tickfont: { size: 11 },
      },
      hoverlabel: {
        bgcolor: theme.surface, bordercolor: theme.faint,
        font: { family: theme.font, size: 12.5, color: theme.ink }, align: "left",
      },
    };
  }

  #range() {
    const { xaxis, yaxis } = this.element._fullLayout;
    return [...xaxis.range, ...yaxis.range];
  }

  #moved(change) {
    if ("xaxis.range[0]" in change) tell("range", this.#range());
  }

  #wheel(event) {
    if (!this.bound || !(event.ctrlKey || event.metaKey)) return; // else the page scrolls
    event.preventDefault();
    const { xaxis, yaxis } = this.element._fullLayout;
    const box = this.element.getBoundingClientRect();
    const at = [
      xaxis.p2d(event.clientX - box.x - xaxis._offset),
      yaxis.p2d(event.clientY - box.y - yaxis._offset),
    ];
    this.zoom(event.deltaY > 0 ? 1.18 : 1 / 1.18, at);
  }
}
