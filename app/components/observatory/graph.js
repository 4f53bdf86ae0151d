// The circuit graph. Positions never move; what a run decides changes how nodes and edges look.

import { curve, density, edgeHandles, edgeTraces, line, strength, withinBudget } from "./edges.js";
import { FLASH, formatOf, standing } from "./log.js";
import { CONFIG, baseLayout, fade, onClick, pixel } from "./plot.js";

export const BUDGET = 1500; // edges drawn unless the reader asks for more
const SIZE = 17; // px of a node where there is room
const SMALLEST_WITH_NUMBER = 13;

export class CircuitGraph {
  constructor(element, { onPick, onHover }) {
    this.element = element;
    this.onPick = onPick;
    this.onHover = onHover;
    this.ready = false;
    this.shown = [];
  }

  /** Draw `scene`: {Plotly, log, view, theme, encoding, selection, colourBy, budget, live}. */
  async draw(scene) {
    scene.size = this.measure(scene.log.header);
    this.scene = scene;
    const { log, view } = scene;
    const { header } = log;
    this.shown = withinBudget(view.kept, scene.budget);
    const { strong, weak } = emphasis(this.shown, scene.selection, header);
    const shared = { header, by: scene.colourBy, largest: log.largest, ...scene };
    const opacity = scene.selection ? 1 : 0.86 * density(strong.length) ** 0.6;
    const traces = [
      ...edgeTraces(weak, { ...shared, opacity: 0.09 }),
      removedTrace(scene),
      ...edgeTraces(strong, { ...shared, opacity }),
      nextTrace(scene),
      candidateBars(scene),
      ...rings(scene),
      nodeTrace(scene),
      edgeHandles(strong, header),
    ];
    await scene.Plotly.react(this.element, traces, this.layout(scene), CONFIG);
    if (!this.ready) this.#listen();
  }

  /** Size of a node in px: as large as rows and columns leave room for. */
  measure(header) {
    const { width, height } = header.size;
    const box = this.element.getBoundingClientRect();
    const unit = { x: (box.width - 64) / (width + 0.5), y: (box.height - 20) / (height + 1.1) };
    const size = Math.max(7, Math.min(SIZE, 0.5 * unit.x, 0.8 * unit.y));
    header.reach = { x: (0.5 * size) / unit.x, y: (0.5 * size) / unit.y };
    return size;
  }

  layout({ log, theme }) {
    const { size, floors } = log.header;
    const box = this.element.getBoundingClientRect();
    const shapes = floors.map((floor, layer) => ({
      type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, y0: floor, y1: floor + size.band,
      line: { width: 0 }, fillcolor: layer % 2 === 0 ? theme.band : "rgba(0,0,0,0)",
    }));
    return baseLayout(theme, {
      uirevision: log.header.run, width: box.width, height: box.height,
      margin: { l: 50, r: 14, t: 10, b: 10 }, shapes,
      xaxis: { range: [-0.75, size.width - 0.25], ...hidden },
      yaxis: {
        range: [-0.55, size.height + 0.55], ...hidden, showticklabels: true, ticklabelstandoff: 6,
        tickvals: [0, ...floors.map((f) => f + size.head_row), size.height],
        ticktext: ["embed", ...floors.map((_, layer) => `L${layer}`), "logits"],
        tickfont: { size: 11, color: theme.muted },
      },
    });
  }

  #listen() {
    this.ready = true;
    onClick(this.element, (data, event) => this.onPick(data, event));
    this.element.on("plotly_hover", (event) => {
      const point = event.points[0];
      this.onHover(point.customdata ?? null, pixel(this.element, point.x, point.y));
    });
    this.element.on("plotly_unhover", () => this.onHover(null));
    this.element.on("plotly_doubleclick", () => this.reset());
  }

  reset() {
    const { size } = this.scene.log.header;
    this.scene.Plotly.relayout(this.element, {
      "xaxis.range": [-0.75, size.width - 0.25], "yaxis.range": [-0.55, size.height + 0.55],
    });
  }
}

const hidden = {
  showgrid: false, zeroline: false, showticklabels: false, showline: false, ticks: "",
};

/** Split edges into those that touch the selection and the rest. */
function emphasis(edges, selection, header) {
  if (!selection) return { strong: edges, weak: [] };
  const chosen = selection.path ?? [selection.edge];
  const touches = selection.node === undefined
    ? (e) => chosen.includes(e.i)
    : (e) => header.nodes[e.from][0] === selection.node || header.nodes[e.to][0] === selection.node;
  return { strong: edges.filter(touches), weak: edges.filter((e) => !touches(e)) };
}

function removedTrace({ view, log, theme, selection, over }) {
  const trace = line(theme.faint, 1, "3px,3px", selection ? 0.25 : 0.8);
  if (over) return trace;
  for (const edge of view.removed.slice(-FLASH)) {
    const [xs, ys] = curve(edge, log.header, 10);
    trace.x.push(...xs, null);
    trace.y.push(...ys, null);
  }
  return trace;
}

function nextTrace({ view, log, theme, over }) {
  const trace = line(theme.accent, 2, "1.5px,3px", 1);
  const edge = over ? null : log.next(view.step);
  if (edge) [trace.x, trace.y] = curve(edge, log.header);
  return trace;
}

/** A thin bar under each node: how many edges into it are still undecided. */
function candidateBars({ view, log, theme, over }) {
  const trace = line(theme.faint, 2, "solid", 1);
  if (over) return trace;
  log.header.nodes.forEach(([, kind, , , x, y], node) => {
    const open = log.header.incoming[node] - view.decidedIn[node];
    if (kind === "input" || open <= 0) return;
    const half = 0.26 * (open / log.header.incoming[node]);
    trace.x.push(x - half, x + half, null);
    trace.y.push(y - 0.31, y - 0.31, null);
  });
  return trace;
}

function rings({ view, log, theme, selection, over, size }) {
  const ring = (symbol, size, width, colour, name) => {
    const node = log.header.nodes.find(([other]) => other === name);
    return {
      type: "scatter", mode: "markers", hoverinfo: "skip", x: node ? [node[4]] : [],
      y: node ? [node[5]] : [],
      marker: { symbol, size, color: "rgba(0,0,0,0)", line: { color: colour, width } },
    };
  };
  const focus = over ? null : view.focuses[view.focuses.length - 1];
  return [
    ring("circle", 2.05 * size, 1.2, theme.accent, focus),
    ring("circle", 1.7 * size, 2.2, theme.accent, focus),
    ring("square", 1.95 * size, 2.2, theme.ink, selection?.node),
  ];
}

function nodeTrace(scene) {
  const { view, log, theme, encoding, selection } = scene;
  const { header } = log;
  const near = selection ? neighbours(view, header, selection) : null;
  const most = Math.max(...view.strength);
  const marks = header.nodes.map(([name, kind], node) => {
    const state = standing(view, header, node);
    const bits = encoding.bits[formatOf(view, header, name)] ?? 32;
    const lit = state === "in";
    const grow = lit ? 0.45 * scene.size * strength(view.strength[node], header, most) : 0;
    const opacity = near && !near.has(name) ? 0.22 : state === "out" ? 0.38 : 1;
    return {
      symbol: encoding.symbols[kind], size: scene.size + grow, opacity,
      fill: lit ? theme.bits[bits] : state === "open" ? theme.surface : fade(theme.faint, 0.55),
      edge: lit ? theme.ink : theme.faint, width: lit ? 1.8 : state === "open" ? 1 : 0,
      ink: lit ? theme.bits_ink[bits] : theme.muted,
    };
  });
  const column = (key) => marks.map((mark) => mark[key]);
  return {
    type: "scatter", hoverinfo: "none",
    mode: scene.size < SMALLEST_WITH_NUMBER ? "markers" : "markers+text",
    x: header.nodes.map((n) => n[4]), y: header.nodes.map((n) => n[5]),
    text: header.nodes.map(([, kind, , slot]) => (kind === "head" ? String(slot) : "")),
    textfont: { size: 10, color: column("ink") }, textposition: "middle center",
    customdata: header.nodes.map(([name]) => ({ node: name })),
    marker: {
      symbol: column("symbol"), size: column("size"), color: column("fill"),
      opacity: column("opacity"), line: { color: column("edge"), width: column("width") },
    },
  };
}

/** Names of the nodes that touch the selected node, edge or path. */
function neighbours(view, header, selection) {
  const { strong } = emphasis(view.kept, selection, header);
  const near = new Set(selection.node ? [selection.node] : []);
  for (const edge of strong) near.add(header.nodes[edge.from][0]).add(header.nodes[edge.to][0]);
  return near;
}
