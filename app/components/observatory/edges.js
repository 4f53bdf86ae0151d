// Edges of the circuit graph: which are drawn, where they run, which channel says what.

const POINTS = 22;

/**
 * Where an edge begins and ends: queries arrive at the left of a head, values at the right.
 * `reach` is half a node in the units of the axes, so edges meet nodes at any size of the picture.
 */
function ends(edge, { nodes, reach }) {
  const [, , , , x0, y0] = nodes[edge.from];
  const [, , , , x1, y1] = nodes[edge.to];
  const side = { q: -0.75, k: 0, v: 0.75 }[edge.kind] ?? 0;
  return [x0, y0 + 0.6 * reach.y, x1 + side * reach.x, y1 - reach.y];
}

export function curve(edge, header, points = POINTS) {
  const [x0, y0, x1, y1] = ends(edge, header);
  const lift = Math.max(0.45 * (y1 - y0), 0.25);
  const xs = [];
  const ys = [];
  for (let i = 0; i < points; i += 1) {
    const t = i / (points - 1);
    const a = (1 - t) ** 3;
    const b = 3 * t * (1 - t) ** 2;
    const c = 3 * t * t * (1 - t);
    const d = t ** 3;
    xs.push((a + b) * x0 + (c + d) * x1);
    ys.push(a * y0 + b * (y0 + lift) + c * (y1 - lift) + d * y1);
  }
  return [xs, ys];
}

/** The strongest `budget` of the kept edges, strongest last so that they lie on top. */
export function withinBudget(kept, budget) {
  const sorted = [...kept].sort((a, b) => Math.abs(a.effect) - Math.abs(b.effect));
  return sorted.length > budget ? sorted.slice(sorted.length - budget) : sorted;
}

/** How strong an effect is, from 0 at the threshold to 1 at the largest, by its logarithm. */
export function strength(effect, { threshold }, largest) {
  if (Math.abs(effect) <= threshold || largest <= threshold) return 0;
  return Math.min(Math.log(Math.abs(effect) / threshold) / Math.log(largest / threshold), 1);
}

export const nearThreshold = (edge, header, encoding) =>
  Math.abs(Math.abs(edge.effect) - header.threshold) <= encoding.borderline * header.threshold;

/** Colour of an edge under one of the three readings. */
function colour(edge, by, theme, total) {
  if (by === "sign") return edge.effect < 0 ? theme.sign.down : theme.sign.up;
  if (by === "reads") return theme.reads[edge.kind] ?? theme.reads.logits;
  const place = Math.floor((edge.i / Math.max(total, 1)) * theme.order.length);
  return theme.order[Math.min(place, theme.order.length - 1)];
}

/** Traces of `edges`: one for each colour, width and dash that occurs. */
export function edgeTraces(edges, { theme, encoding, header, by, largest, opacity }) {
  const groups = new Map();
  const thin = density(edges.length);
  const points = edges.length > 600 ? 8 : edges.length > 200 ? 14 : POINTS;
  for (const edge of edges) {
    const paint = colour(edge, by, theme, header.edges);
    const bins = encoding.widths.length;
    const bin = Math.min(Math.floor(strength(edge.effect, header, largest) * bins), bins - 1);
    const width = encoding.widths[bin] * thin;
    const dash = nearThreshold(edge, header, encoding) ? "7px,4px" : "solid";
    const key = `${width}|${dash}|${paint}`;
    if (!groups.has(key)) groups.set(key, line(paint, width, dash, opacity));
    const trace = groups.get(key);
    const [xs, ys] = curve(edge, header, points);
    trace.x.push(...xs, null);
    trace.y.push(...ys, null);
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

/** Invisible points along each edge that catch the mouse. */
export function edgeHandles(edges, header) {
  const trace = {
    type: "scatter", mode: "markers", hoverinfo: "none", x: [], y: [], customdata: [],
    marker: { size: 11, color: "rgba(0,0,0,0)", line: { width: 0 } },
  };
  for (const edge of edges) {
    const [xs, ys] = curve(edge, header, 7);
    for (const i of [2, 3, 4]) {
      trace.x.push(xs[i]);
      trace.y.push(ys[i]);
      trace.customdata.push({ edge: edge.i });
    }
  }
  return trace;
}
