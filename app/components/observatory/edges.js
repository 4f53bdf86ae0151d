// Edges of the circuit graph: where they run, and which channel says what.

import { nearThreshold } from "./bundle.js";

const POINTS = 22;

/**
 * Where an edge begins and ends: queries arrive at the left of a head, values at the right.
 * `reach` is half a node in the units of the axes, so edges meet nodes at any size of the picture.
 */
function ends(edge, { nodes, reach }) {
  const from = nodes[edge.from];
  const to = nodes[edge.to];
  const side = { q: -0.75, k: 0, v: 0.75 }[edge.kind] ?? 0;
  return [from.x, from.y + 0.6 * reach.y, to.x + side * reach.x, to.y - reach.y];
}

/** Points of an edge from node to node of `arrangement`, as lists of x and y. */
export function curve(edge, arrangement, points = POINTS) {
  const [x0, y0, x1, y1] = ends(edge, arrangement);
  const lift = Math.max(0.45 * (y1 - y0), 0.25);
  const bow = sideways(edge, arrangement);
  const xs = [];
  const ys = [];
  for (let i = 0; i < points; i += 1) {
    const t = i / (points - 1);
    const a = (1 - t) ** 3;
    const b = 3 * t * (1 - t) ** 2;
    const c = 3 * t * t * (1 - t);
    const d = t ** 3;
    xs.push((a + b) * x0 + (c + d) * x1 + (b + c) * bow);
    ys.push(a * y0 + b * (y0 + lift) + c * (y1 - lift) + d * y1);
  }
  return [xs, ys];
}

/** How far an upright edge swings out, so that it does not run through the nodes between. */
function sideways(edge, { nodes, width }) {
  const from = nodes[edge.from];
  const to = nodes[edge.to];
  if (Math.abs(from.x - to.x) > 0.3) return 0;
  const between = nodes.filter((node) =>
    node.y > from.y + 0.1 && node.y < to.y - 0.1 && Math.abs(node.x - from.x) < 0.4).length;
  if (!between) return 0;
  const side = (edge.from + edge.to) % 2 === 0 ? 1 : -1;
  return side * Math.min(0.55 * between ** 0.95, 0.62 * width);
}

/** How strong an effect is, from 0 at the threshold to 1 at the largest, by its logarithm. */
export function strength(effect, { threshold }, largest) {
  if (Math.abs(effect) <= threshold || largest <= threshold) return 0;
  return Math.min(Math.log(Math.abs(effect) / threshold) / Math.log(largest / threshold), 1);
}

/** Colour of an edge under one of the three readings. */
function colour(edge, by, theme, total) {
  if (by === "sign") return edge.effect < 0 ? theme.sign.down : theme.sign.up;
  if (by === "reads") return theme.reads[edge.kind] ?? theme.muted;
  const place = Math.floor((edge.members[0].i / Math.max(total, 1)) * theme.order.length);
  return theme.order[Math.min(place, theme.order.length - 1)];
}

/** How many points a curve gets where `count` are drawn. */
export const pointsFor = (count) => (count > 600 ? 8 : count > 200 ? 14 : POINTS);

/** Traces of drawn edges, which hold their curve: one for each colour, width and dash. */
export function edgeTraces(edges, { theme, encoding, log, drawn, colourBy, opacity }) {
  const { header } = log;
  const groups = new Map();
  const thin = density(edges.length);
  for (const edge of edges) {
    const paint = colour(edge, colourBy, theme, header.edges);
    const bins = encoding.widths.length;
    const bin = Math.min(Math.floor(strength(edge.effect, header, drawn.largest) * bins), bins - 1);
    const width = encoding.widths[bin] * thin;
    const near = edge.members.every((one) => nearThreshold(one, header, encoding));
    const dash = near ? "7px,4px" : "solid";
    const key = `${width}|${dash}|${paint}`;
    if (!groups.has(key)) groups.set(key, line(paint, width, dash, opacity));
    const trace = groups.get(key);
    trace.x.push(...edge.curve[0], null);
    trace.y.push(...edge.curve[1], null);
  }
  return [...groups.values()].sort((a, b) => a.line.width - b.line.width);
}

/** From 1 for a few edges downwards: many edges are drawn thinner and paler. */
export const density = (count) => Math.min(1, (150 / Math.max(count, 1)) ** 0.35);

export function line(color, width, dash, opacity) {
  return {
    type: "scatter", mode: "lines", hoverinfo: "skip", x: [], y: [], opacity,
    line: { color, width, dash },
  };
}

/** The edge of `edges` that runs nearest to a pixel, no farther than `reach` px. */
export function edgeAt(x, y, edges, pixel, reach) {
  let best = null;
  let least = reach;
  for (const edge of edges) {
    const [xs, ys] = edge.curve;
    let [ax, ay] = pixel(xs[0], ys[0]);
    for (let i = 1; i < xs.length; i += 1) {
      const [bx, by] = pixel(xs[i], ys[i]);
      const away = distance(x, y, ax, ay, bx, by);
      if (away < least) [best, least] = [edge, away];
      [ax, ay] = [bx, by];
    }
  }
  return best;
}

/** From a point to the line between two others. */
function distance(x, y, ax, ay, bx, by) {
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const t = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - ax - t * dx, y - ay - t * dy);
}
