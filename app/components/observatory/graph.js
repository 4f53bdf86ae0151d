// The circuit graph. Positions do not move while a run goes on; what it decides changes looks.

import { between, labelHeight, namesOf } from "./arrange.js";
import { curve, density, edgeAt, edgeTraces, line, pointsFor, strength } from "./edges.js";
import { FLASH, formatOf, standing } from "./log.js";
import { Picture, baseLayout, fade } from "./plot.js";
import { edgesOf, nodesOf, touching } from "./selection.js";
import { stillPlease } from "./theme.js";

export const BUDGET = 1500; // edges drawn unless the reader asks for more
const SIZE = 17; // px of a node where there is room
const SMALLEST_WITH_NUMBER = 13;
const GLIDE = 400; // ms from one arrangement to another
const MARGIN = { l: 50, r: 14, t: 10, b: 10 };
const EDGE = 7; // px from an edge at which it is hit
const LAYER_SIZE = 1.75; // a whole layer's node, in sizes of a head's

export class CircuitGraph extends Picture {
  /** Draw `scene`; a new arrangement is reached by gliding. */
  async draw(scene) {
    const target = scene.arrangement;
    const start = this.shown;
    if (start && start.run === scene.run && start.key !== target.key && !stillPlease()) {
      const began = performance.now();
      for (let share = 0; share < 1;) {
        const eased = 1 - (1 - share) ** 3;
        await this.#frame({ ...scene, arrangement: between(start, target, eased) });
        await new Promise(requestAnimationFrame);
        share = (performance.now() - began) / GLIDE;
      }
    }
    await this.#frame(scene);
    this.shown = { ...target, run: scene.run };
  }

  async #frame(scene) {
    const size = this.#measure(scene.arrangement);
    this.scene = { ...scene, size };
    const { strong, weak } = emphasis(this.#curved(), scene);
    this.strong = strong;
    const opacity = scene.selection ? 1 : 0.86 * density(strong.length) ** 0.6;
    const traces = [
      ...edgeTraces(weak, { ...scene, opacity: 0.09 }),
      removedTrace(scene),
      ...edgeTraces(strong, { ...scene, opacity }),
      nextTrace(scene),
      candidateBars(scene),
      ...rings(this.scene),
      nodeTrace(this.scene),
    ];
    await this.react(traces, this.#layout());
    if (this.listens) return;
    this.listens = true;
    this.element.on("plotly_doubleclick", () => this.reset());
  }

  /** Drawn edges with the points of their curves. */
  #curved() {
    const { drawn, arrangement } = this.scene;
    const points = pointsFor(drawn.edges.length);
    for (const edge of drawn.edges) edge.curve = curve(edge, arrangement, points);
    return drawn.edges;
  }

  /** Size of a node in px: as large as rows and columns leave room for. */
  #measure(arrangement) {
    const { width, height } = this.box;
    const unit = {
      x: (width - MARGIN.l - MARGIN.r) / (arrangement.width + 0.5),
      y: (height - MARGIN.t - MARGIN.b) / (arrangement.height + 1.1),
    };
    const size = Math.max(7, Math.min(SIZE, 0.5 * unit.x, 0.8 * unit.y));
    arrangement.reach = { x: (0.5 * size) / unit.x, y: (0.5 * size) / unit.y };
    return size;
  }

  #ranges() {
    const { width, height } = this.scene.arrangement;
    return { x: [-0.75, width - 0.25], y: [-0.55, height + 0.55] };
  }

  #layout() {
    const { arrangement, theme, log, narrow } = this.scene;
    const { floors, height, key } = arrangement;
    const headRow = log.header.size.head_row;
    const shapes = floors.map(({ low, high }, i) => ({
      type: "rect", layer: "below", xref: "paper", x0: 0, x1: 1, y0: low, y1: high,
      line: { width: 0 }, fillcolor: i % 2 === 0 ? theme.band : "rgba(0,0,0,0)",
    }));
    const ranges = this.#ranges();
    return baseLayout(theme, {
      uirevision: `${log.header.run} ${key}`, ...this.box, margin: MARGIN, shapes,
      dragmode: narrow ? false : "pan", // on a phone a finger scrolls the page
      xaxis: { range: ranges.x, ...hidden },
      yaxis: {
        range: ranges.y, ...hidden, showticklabels: true, ticklabelstandoff: 6,
        tickvals: [0, ...floors.map((floor) => labelHeight(floor, headRow)), height],
        ticktext: ["embed", ...floors.map(({ layer }) => `L${layer}`), "logits"],
        tickfont: { size: 11, color: theme.muted },
      },
    });
  }

  reset() {
    const ranges = this.#ranges();
    this.scene.Plotly.relayout(this.element, { "xaxis.range": ranges.x, "yaxis.range": ranges.y });
  }

  /** What lies at a pixel: a layer's label, a node or an edge. */
  find(x, y, coarse) {
    const { arrangement, log } = this.scene;
    const slack = coarse ? 8 : 3;
    if (x < MARGIN.l) return this.#label(x, y);
    let best = null;
    let least = Infinity;
    for (const node of arrangement.nodes) {
      const [px, py] = this.pixel(node.x, node.y);
      const away = Math.max(Math.abs(px - x), Math.abs(py - y));
      const reach = slack + 0.62 * this.scene.size * (node.kind === "layer" ? LAYER_SIZE : 1);
      if (away > reach || away >= least) continue;
      [best, least] = [{ data: { nodes: namesOf(node, log.header) }, at: [px, py] }, away];
    }
    if (best) return best;
    const edge = edgeAt(x, y, this.strong, (a, b) => this.pixel(a, b), EDGE + slack - 3);
    return edge && { data: { edges: edge.members.map((one) => one.i) }, at: [x, y] };
  }

  #label(x, y) {
    const { arrangement, log } = this.scene;
    const floor = arrangement.floors.find((one) =>
      Math.abs(this.pixel(0, labelHeight(one, log.header.size.head_row))[1] - y) < 10);
    return floor ? { data: { layer: floor.layer }, at: [x, y] } : null;
  }

  /** Pixel of a drawn node, for what is shown beside it. */
  placeOf(id) {
    const node = this.scene.arrangement.nodes.find((one) => one.id === id);
    return node ? this.pixel(node.x, node.y) : null;
  }
}

const hidden = {
  showgrid: false, zeroline: false, showline: false, ticks: "", showticklabels: false,
};

/** Split drawn edges into those that touch the selection and the rest. */
function emphasis(edges, { selection, log }) {
  if (!selection) return { strong: edges, weak: [] };
  const chosen = touching(selection, log.header);
  const touches = (edge) => edge.members.some(chosen);
  return { strong: edges.filter(touches), weak: edges.filter((edge) => !touches(edge)) };
}

/** A decision as an edge between drawn nodes; null where one of them is not drawn. */
function placed(edge, { of, nodes }) {
  const [from, to] = [of[edge.from], of[edge.to]];
  const kind = nodes[to]?.kind === "layer" ? "mixed" : edge.kind;
  return from < 0 || to < 0 || from === to ? null : { from, to, kind };
}

function removedTrace({ view, arrangement, theme, selection, over }) {
  const trace = line(theme.faint, 1, "3px,3px", selection ? 0.25 : 0.8);
  if (over) return trace;
  for (const edge of view.removed.slice(-FLASH)) {
    const drawn = placed(edge, arrangement);
    if (!drawn) continue;
    const [xs, ys] = curve(drawn, arrangement, 10);
    trace.x.push(...xs, null);
    trace.y.push(...ys, null);
  }
  return trace;
}

function nextTrace({ view, log, arrangement, theme, over }) {
  const trace = line(theme.accent, 2, "1.5px,3px", 1);
  const edge = over ? null : log.next(view.step);
  const drawn = edge && placed(edge, arrangement);
  if (drawn) [trace.x, trace.y] = curve(drawn, arrangement);
  return trace;
}

/** A thin bar under each node: how many edges into it are still undecided. */
function candidateBars({ view, log, arrangement, theme, over }) {
  const trace = line(theme.faint, 2, "solid", 1);
  if (over) return trace;
  const total = (node, counts) => node.members.reduce((sum, i) => sum + counts[i], 0);
  for (const node of arrangement.nodes) {
    const incoming = total(node, log.header.incoming);
    const open = incoming - total(node, view.decidedIn);
    if (node.kind === "input" || open <= 0) continue;
    const half = 0.26 * (open / incoming);
    trace.x.push(node.x - half, node.x + half, null);
    trace.y.push(node.y - 0.31, node.y - 0.31, null);
  }
  return trace;
}

function rings({ view, log, arrangement, theme, selection, cursor, over, size }) {
  const at = (names) => arrangement.nodes.filter((node) =>
    namesOf(node, log.header).some((name) => names.includes(name)));
  const ring = (symbol, grow, width, color, nodes) => ({
    type: "scatter", mode: "markers", hoverinfo: "skip",
    x: nodes.map((node) => node.x), y: nodes.map((node) => node.y),
    marker: {
      symbol, color: "rgba(0,0,0,0)", line: { color, width },
      size: nodes.map((node) => grow * size * (node.kind === "layer" ? 1.5 : 1)),
    },
  });
  const focus = over ? [] : at(view.focuses.slice(-1));
  return [
    ring("circle", 2.05, 1.2, theme.accent, focus),
    ring("circle", 1.7, 2.2, theme.accent, focus),
    ring("square", 1.95, 2.2, theme.ink, at(nodesOf(selection))),
    ring("circle", 2.3, 2, theme.sign.up, arrangement.nodes.filter((node) => node.id === cursor)),
  ];
}

function nodeTrace(scene) {
  const { arrangement, log, theme, encoding, selection, size } = scene;
  const near = selection ? neighbours(scene) : null;
  const weight = (node) => node.members.reduce((sum, i) => sum + scene.view.strength[i], 0);
  const most = Math.max(...arrangement.nodes.map(weight));
  const marks = arrangement.nodes.map((node) => {
    const { state, bits } = summary(node, scene);
    const lit = state === "in";
    const grow = lit ? 0.45 * size * strength(weight(node), log.header, most) : 0;
    const whole = node.kind === "layer";
    const opacity = near && !node.members.some((i) => near.has(i)) ? 0.22
      : state === "out" ? 0.38 : 1;
    return {
      symbol: whole ? "hexagon2" : encoding.symbols[node.kind], opacity,
      size: whole ? LAYER_SIZE * size : size + grow,
      fill: lit ? theme.bits[bits] : state === "open" ? theme.surface : fade(theme.faint, 0.55),
      edge: lit ? theme.ink : theme.faint, width: lit ? 1.8 : state === "open" ? 1 : 0,
      ink: lit ? theme.bits_ink[bits] : theme.muted,
    };
  });
  const column = (key) => marks.map((mark) => mark[key]);
  return {
    type: "scatter", hoverinfo: "none",
    mode: size < SMALLEST_WITH_NUMBER ? "markers" : "markers+text",
    x: arrangement.nodes.map((node) => node.x), y: arrangement.nodes.map((node) => node.y),
    ids: arrangement.nodes.map((node) => node.id), text: arrangement.nodes.map((n) => n.label),
    textfont: { size: 10, color: column("ink") }, textposition: "middle center",
    marker: {
      symbol: column("symbol"), size: column("size"), color: column("fill"),
      opacity: column("opacity"), line: { color: column("edge"), width: column("width") },
    },
  };
}

/** Where a drawn node stands in the search, and in how many bits most of it computes. */
function summary(node, { view, log, encoding }) {
  const { header } = log;
  const states = node.members.map((i) => standing(view, header, i));
  const state = ["in", "open", "out"].find((one) => states.includes(one));
  const bits = node.members.map((i) => encoding.bits[formatOf(view, header, header.nodes[i][0])]);
  const times = (width) => bits.filter((other) => other === width).length;
  return { state, bits: bits.reduce((a, b) => (times(b) > times(a) ? b : a)) ?? 32 };
}

/** The header's nodes that touch the selected nodes or edges. */
function neighbours({ view, log, selection }) {
  const { nodes } = log.header;
  const chosen = touching(selection, log.header);
  const named = new Set(nodesOf(selection));
  const near = new Set(nodes.flatMap(([name], i) => (named.has(name) ? [i] : [])));
  for (const edge of view.kept) if (chosen(edge)) near.add(edge.from).add(edge.to);
  for (const i of edgesOf(selection)) {
    if (i < log.decided) near.add(log.decision(i).from).add(log.decision(i).to);
  }
  return near;
}
