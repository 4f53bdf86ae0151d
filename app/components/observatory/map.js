// The precision map: one square a component. Its mode says what colours and letters mean.

import { bytes } from "./format.js";
import { standing, TRAIL } from "./log.js";
import { Picture, baseLayout, fade } from "./plot.js";
import { nodesOf } from "./selection.js";
import { rowBytes } from "./weights.js";

const LEFT = 46;
const TOP = 20;
const BARS = 62; // px at the right for the bytes of each layer

export class PrecisionMap extends Picture {
  constructor(element, listeners) {
    super(element, listeners, { scrollZoom: false });
  }

  async draw(scene) {
    this.scene = scene;
    const looks = looksOf(scene, this.box);
    if (looks === this.looks) return; // most decisions change nothing here
    this.looks = looks;
    const { header } = scene.log;
    const { width, layers } = header.size;
    const { height } = this.box;
    const right = rowBytes(scene) ? BARS : 10;
    const margin = { l: LEFT, r: right, t: TOP, b: 4 };
    const cell = Math.min(
      (this.box.width - LEFT - right) / (width + 0.3), (height - TOP - 4) / (layers + 2.2),
    );
    this.size = Math.max(4, Math.min(cell - 3, 34));
    const cells = header.nodes.map(([name, kind, layer], node) => ({
      name, kind, layer, node, x: header.cells[name][0], y: header.cells[name][1],
    }));
    this.cells = cells;
    const traces = [
      cellTrace(cells, scene, this.size), ...circuitOutline(cells, scene, this.size),
      trailTrace(scene, this.size), raisedTrace(cells, scene, this.size),
      selectedTrace(scene, this.size),
    ];
    await this.react(traces, layout(scene, this.box, margin, cell));
  }

  /** What lies at a pixel: a component, or the label of a row or a column. */
  find(x, y) {
    const { log } = this.scene;
    const half = Math.max(this.size / 2 + 2, 6);
    const places = this.cells.map((cell) => ({ cell, at: this.pixel(cell.x, cell.y) }));
    const named = (which) => {
      const found = places.filter(which).map(({ cell }) => cell.name);
      return found.length ? { data: { nodes: found }, at: [x, y] } : null;
    };
    const inside = ({ cell }) => cell.kind === "head" || cell.kind === "mlp";
    if (x < LEFT) return named((place) => Math.abs(place.at[1] - y) < half);
    if (y < TOP) return named((place) => inside(place) && Math.abs(place.at[0] - x) < half);
    const hit = places.find(({ at }) => Math.abs(at[0] - x) < half && Math.abs(at[1] - y) < half);
    return hit ? { data: { nodes: [log.header.nodes[hit.cell.node][0]] }, at: hit.at } : null;
  }
}

/** Everything that the map shows, to be compared. */
function looksOf(scene, box) {
  const { run, view, log, theme, mode, selection, over } = scene;
  const states = log.header.nodes.map((_, node) => standing(view, log.header, node)[0]).join("");
  const { focuses, overrides } = view;
  return JSON.stringify([
    run, states, focuses.length, overrides, over, mode.file, mode.key(scene), nodesOf(selection),
    theme.name, box,
  ]);
}

function layout(scene, box, margin, cell) {
  const { log, theme } = scene;
  const { layers, heads, mlp, width } = log.header.size;
  const bare = { showgrid: false, zeroline: false, showline: false, ticks: "", fixedrange: true };
  const font = { size: 11, color: theme.muted };
  const every = Math.ceil(heads / 16);
  const slots = [...Array(heads).keys()].filter((h) => h % every === 0);
  return baseLayout(theme, {
    ...box, margin, dragmode: false, ...layerBars(scene, margin, cell),
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

/** Beside each row how much memory its weights take: full length is FP32 of the largest row. */
function layerBars(scene, margin, cell) {
  const rows = rowBytes(scene);
  const { theme } = scene;
  if (!rows) return {};
  const most = Math.max(...rows.slice(1, -1).map((row) => row.full));
  const unit = (margin.r - 20) / most;
  const shapes = [];
  const annotations = [];
  const tight = cell < 26; // no room for a number above the bar
  rows.forEach(({ now, full }, y) => {
    const bar = (size, fillcolor) => shapes.push({
      type: "rect", xref: "paper", xsizemode: "pixel", xanchor: 1, yref: "y", layer: "above",
      ysizemode: "pixel", yanchor: y, y0: tight ? -2 : -9, y1: tight ? 2 : -5,
      x0: 8, x1: 8 + Math.min(size, most) * unit, line: { width: 0 }, fillcolor,
    });
    bar(full, fade(theme.faint, 0.45));
    bar(now, theme.bits[8]);
    if (!tight) {
      annotations.push({
        xref: "paper", x: 1, xanchor: "left", xshift: 6, y, yshift: 4, showarrow: false,
        text: bytes(now), font: { size: 10, color: theme.muted },
      });
    }
  });
  return { shapes, annotations };
}

const squares = (xs, ys, marker, extra = {}) => ({
  type: "scatter", mode: "markers", hoverinfo: "skip", x: xs, y: ys,
  marker: { symbol: "square", ...marker }, ...extra,
});

function cellTrace(cells, scene, size) {
  const look = scene.mode.looks(scene);
  const looks = cells.map(({ name }) => look(name));
  return squares(cells.map((c) => c.x), cells.map((c) => c.y), {
    size, color: looks.map((l) => l[0]), line: { width: 0 }, opacity: 1,
  }, {
    mode: size >= 13 ? "markers+text" : "markers", text: looks.map((l) => l[1]),
    textfont: { size: Math.max(8, Math.min(11, size * 0.42)), color: looks.map((l) => l[2]) },
    textposition: "middle center", ids: cells.map(({ name }) => name),
  });
}

/** In the circuit: an outline in ink. Out of it, where the mode says so: a veil. */
function circuitOutline(cells, { view, log, theme, mode }, size) {
  const of = (state) => cells.filter((c) => standing(view, log.header, c.node) === state);
  const at = (list) => [list.map((c) => c.x), list.map((c) => c.y)];
  return [
    squares(...at(mode.veil ? of("out") : []), {
      size, color: fade(theme.surface, 0.62), line: { width: 0 },
    }),
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
  const places = nodesOf(selection).map((name) => log.header.cells[name]).filter(Boolean);
  return squares(places.map(([x]) => x), places.map(([, y]) => y), {
    size: size + 9, color: "rgba(0,0,0,0)", line: { width: 1.6, color: theme.ink },
  });
}
