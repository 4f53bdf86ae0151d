// The precision map: one square a component, the letter says in how many bits it computes.

import { formatOf, standing, TRAIL } from "./log.js";
import { CONFIG, baseLayout, fade, onClick, pixel } from "./plot.js";

export class PrecisionMap {
  constructor(element, { onPick, onHover }) {
    this.element = element;
    this.onPick = onPick;
    this.onHover = onHover;
    this.ready = false;
  }

  async draw(scene) {
    const { header } = scene.log;
    const box = this.element.getBoundingClientRect();
    const { layers, width } = header.size;
    const margin = { l: 46, r: 10, t: 20, b: 4 };
    const cell = Math.min(
      (box.width - margin.l - margin.r) / (width + 0.3),
      (box.height - margin.t - margin.b) / (layers + 2.2),
    );
    const size = Math.max(4, Math.min(cell - 3, 34));
    const cells = header.nodes.map(([name, kind], node) => ({
      name, kind, node, x: header.cells[name][0], y: header.cells[name][1],
    }));
    const traces = [
      cellTrace(cells, scene, size), ...circuitOutline(cells, scene, size),
      trailTrace(scene, size), raisedTrace(cells, scene, size), selectedTrace(scene, size),
    ];
    await scene.Plotly.react(this.element, traces, layout(scene, box, margin), {
      ...CONFIG, scrollZoom: false,
    });
    if (!this.ready) this.#listen();
  }

  #listen() {
    this.ready = true;
    onClick(this.element, (data, event) => this.onPick(data, event));
    this.element.on("plotly_hover", (event) => {
      const point = event.points[0];
      this.onHover(point.customdata ?? null, pixel(this.element, point.x, point.y));
    });
    this.element.on("plotly_unhover", () => this.onHover(null));
  }
}

function layout({ log, theme }, box, margin) {
  const { layers, heads, mlp, width } = log.header.size;
  const bare = { showgrid: false, zeroline: false, showline: false, ticks: "", fixedrange: true };
  const font = { size: 11, color: theme.muted };
  const every = Math.ceil(heads / 16);
  const slots = [...Array(heads).keys()].filter((h) => h % every === 0);
  return baseLayout(theme, {
    width: box.width, height: box.height, margin, dragmode: false,
    xaxis: {
      ...bare, side: "top", range: [-0.6, width - 0.4], tickfont: font,
      tickvals: mlp ? [...slots, heads] : slots,
      ticktext: mlp ? [...slots.map(String), "MLP"] : slots.map(String),
    },
    yaxis: {
      ...bare, range: [-0.6, layers + 1.6], tickfont: font, ticklabelstandoff: 4,
      tickvals: [...Array(layers + 2).keys()],
      ticktext: ["embed", ...[...Array(layers).keys()].map((l) => `L${l}`), "logits"],
    },
  });
}

const squares = (xs, ys, marker, extra = {}) => ({
  type: "scatter", mode: "markers", hoverinfo: "skip", x: xs, y: ys,
  marker: { symbol: "square", ...marker }, ...extra,
});

function cellTrace(cells, scene, size) {
  const { view, log, theme, encoding, mapMode } = scene;
  const most = Math.max(1, ...Object.values(view.raised));
  const looks = cells.map(({ name }) => {
    const bits = encoding.bits[formatOf(view, log.header, name)] ?? 32;
    if (mapMode === "now") return [theme.bits[bits], String(bits), theme.bits_ink[bits]];
    const times = view.raised[name] ?? 0;
    const share = Math.sqrt(times / most);
    const fill = times ? fade(theme.accent, 0.25 + 0.7 * share) : fade(theme.faint, 0.25);
    return [fill, times ? String(times) : "", theme.ink];
  });
  return squares(cells.map((c) => c.x), cells.map((c) => c.y), {
    size, color: looks.map((l) => l[0]), line: { width: 0 }, opacity: 1,
  }, {
    mode: size >= 13 ? "markers+text" : "markers", text: looks.map((l) => l[1]),
    textfont: { size: Math.max(8, Math.min(11, size * 0.42)), color: looks.map((l) => l[2]) },
    textposition: "middle center", hoverinfo: "none",
    customdata: cells.map(({ name }) => ({ node: name })),
  });
}

/** In the circuit: an outline in ink. Out of it: a veil of the surface's colour. */
function circuitOutline(cells, { view, log, theme }, size) {
  const of = (state) => cells.filter((c) => standing(view, log.header, c.node) === state);
  const at = (list) => [list.map((c) => c.x), list.map((c) => c.y)];
  return [
    squares(...at(of("out")), { size, color: fade(theme.surface, 0.62), line: { width: 0 } }),
    squares(...at(of("in")), {
      size, color: "rgba(0,0,0,0)", line: { color: theme.ink, width: 1.6 },
    }),
  ];
}

function trailTrace({ view, log, theme, over }, size) {
  const names = over ? [] : view.focuses.slice(-1 - TRAIL, -1).filter((n) => log.header.cells[n]);
  const places = names.map((name) => log.header.cells[name]);
  const shades = names.map((_, i) => fade(theme.accent, 0.08 + (0.5 * (i + 1)) / names.length));
  return squares(places.map(([x]) => x), places.map(([, y]) => y), {
    size: size + 4, color: "rgba(0,0,0,0)",
    line: { width: 2, color: shades },
  });
}

/** What now computes in another format than the background plan, and the focus itself. */
function raisedTrace(cells, { view, theme, over }, size) {
  const focus = view.focuses[view.focuses.length - 1];
  const now = over ? [] : cells.filter((c) => c.name === focus || c.name in view.overrides);
  return squares(now.map((c) => c.x), now.map((c) => c.y), {
    size: size + 5, color: "rgba(0,0,0,0)", line: { width: 3, color: theme.accent },
  });
}

function selectedTrace({ log, theme, selection }, size) {
  const place = selection?.node ? log.header.cells[selection.node] : null;
  return squares(place ? [place[0]] : [], place ? [place[1]] : [], {
    size: size + 9, color: "rgba(0,0,0,0)", line: { width: 1.6, color: theme.ink },
  });
}

/** Bytes of the weights in their formats now, and all of them in FP32; null if unknown. */
export function storedBytes(view, header, encoding) {
  const entries = Object.entries(header.weights);
  if (!entries.length) return null;
  let now = 0;
  let full = 0;
  for (const [name, weights] of entries) {
    now += (weights * (encoding.bits[formatOf(view, header, name)] ?? 32)) / 8;
    full += 4 * weights;
  }
  return { now, full };
}
