// From the kept edges to those that are drawn: some left out, some drawn as one.

/**
 * Returns {edges, shown, largest, hidden, weaker, loose}: drawn edges with the decisions they stand
 * for, how many those are, the largest effect, why others are left out, and what dangles.
 */
export function drawnEdges({ view, log, arrangement, ui, encoding, over }) {
  const { header } = log;
  const loose = over ? dangling(view, header) : { nodes: new Set(), edges: 0 };
  const left = { legend: 0, dangling: 0, inside: 0 };
  const found = new Map();
  for (const edge of view.kept) {
    const from = arrangement.of[edge.from];
    const to = arrangement.of[edge.to];
    const why = ui.hidden.size && filtered(edge, ui.hidden, header, encoding) ? "legend"
      : ui.hideLoose && (loose.nodes.has(edge.from) || loose.nodes.has(edge.to)) ? "dangling"
        : from === to ? "inside" : null;
    if (why) {
      left[why] += 1;
      continue;
    }
    const kind = kindOf(edge, arrangement.nodes[to], ui.merged);
    const key = `${from}>${to}>${kind}`;
    if (!found.has(key)) found.set(key, { key, from, to, kind, effect: 0, members: [] });
    const drawn = found.get(key);
    drawn.members.push(edge);
    drawn.effect += edge.effect;
  }
  const { edges, weaker } = strongest([...found.values()], ui.budget);
  const hidden = [
    [left.legend, "by the legend"], [left.dangling, "dangling"], [left.inside, "inside a layer"],
    [weaker, "weaker"],
  ].filter(([n]) => n > 0);
  const shown = edges.reduce((sum, edge) => sum + edge.members.length, 0);
  // The strongest is last. One edge keeps its width when others join it, unless they outgrow it.
  const largest = Math.max(log.largest, Math.abs(edges.at(-1)?.effect ?? 0));
  return { edges, shown, largest, hidden, weaker, loose };
}

/** Query, key and value are told apart at a head alone, and only while they are not one. */
function kindOf(edge, target, merged) {
  if (target.kind === "layer") return "mixed";
  return merged && target.kind === "head" ? "mixed" : edge.kind;
}

function filtered(edge, hidden, header, encoding) {
  return hidden.has(edge.kind) || hidden.has(edge.effect < 0 ? "down" : "up")
    || (hidden.has("near") && nearThreshold(edge, header, encoding));
}

export const nearThreshold = (edge, header, encoding) =>
  Math.abs(Math.abs(edge.effect) - header.threshold) <= encoding.borderline * header.threshold;

/** The strongest `budget`, strongest last so that they lie on top. */
function strongest(edges, budget) {
  edges.sort((a, b) => Math.abs(a.effect) - Math.abs(b.effect));
  const weak = Math.max(edges.length - budget, 0);
  const weaker = edges.slice(0, weak).reduce((sum, edge) => sum + edge.members.length, 0);
  return { edges: edges.slice(weak), weaker };
}

/** Nodes that are on no path of kept edges from the embedding to the logits. */
export function dangling(view, header) {
  const count = header.nodes.length;
  const fed = new Array(count).fill(false);
  const heard = new Array(count).fill(false);
  fed[0] = true;
  heard[count - 1] = true;
  // Nodes are numbered forwards, so one pass in each direction reaches everything.
  for (const edge of [...view.kept].sort((a, b) => a.from - b.from)) {
    if (fed[edge.from]) fed[edge.to] = true;
  }
  for (const edge of [...view.kept].sort((a, b) => b.to - a.to)) {
    if (heard[edge.to]) heard[edge.from] = true;
  }
  const nodes = new Set();
  for (const { from, to } of view.kept) {
    for (const node of [from, to]) {
      const end = node === 0 || node === count - 1;
      if (!end && (!fed[node] || !heard[node])) nodes.add(node);
    }
  }
  const edges = view.kept.filter((e) => nodes.has(e.from) || nodes.has(e.to)).length;
  return { nodes, edges };
}
