// The strongest ways from the embedding to the logits. A path is as strong as its weakest edge.

import { count, escape, measure } from "./format.js";
import { mainNode } from "./selection.js";

const BEST = 8; // paths kept at every node, and shown

/** The strongest kept edge between each two nodes. */
function strongestEdges(kept) {
  const best = new Map();
  for (const edge of kept) {
    const key = `${edge.from}>${edge.to}`;
    const rival = best.get(key);
    if (!rival || Math.abs(rival.effect) < Math.abs(edge.effect)) best.set(key, edge);
  }
  return [...best.values()];
}

/** Best partial paths of every node: `order` is the order in which nodes are complete. */
function partial(edges, start, order, near, far) {
  const at = new Map([[start, [{ edges: [], weight: Infinity }]]]);
  const leaving = Map.groupBy(edges, (edge) => edge[near]);
  for (const node of order) {
    const here = (at.get(node) ?? []).sort((a, b) => b.weight - a.weight).slice(0, BEST);
    at.set(node, here);
    for (const edge of leaving.get(node) ?? []) {
      const longer = here.map((path) => ({
        edges: near === "from" ? [...path.edges, edge] : [edge, ...path.edges],
        weight: Math.min(path.weight, Math.abs(edge.effect)),
      }));
      at.set(edge[far], [...(at.get(edge[far]) ?? []), ...longer]);
    }
  }
  return at;
}

/** The strongest paths through `node` (a name), or of the whole circuit. */
export function bestPaths({ view, log }, node) {
  const { nodes } = log.header;
  const edges = strongestEdges(view.kept);
  const order = nodes.map((_, i) => i); // forward order, so senders come first
  const last = nodes.length - 1;
  const forward = partial(edges, 0, order, "from", "to");
  const through = node ? nodes.findIndex(([name]) => name === node) : last;
  const before = forward.get(through) ?? [];
  if (through === last) return before;
  const backward = partial(edges, last, order.reverse(), "to", "from");
  const after = backward.get(through) ?? [];
  return before
    .flatMap((a) => after.map((b) => ({
      edges: [...a.edges, ...b.edges], weight: Math.min(a.weight, b.weight),
    })))
    .filter((path) => path.edges.length)
    .sort((a, b) => b.weight - a.weight)
    .slice(0, BEST);
}

export function pathsTab(scene) {
  const { log, view, selection } = scene;
  const node = mainNode(selection) ?? selection?.through;
  const paths = bestPaths(scene, node);
  const where = node ? `through <b>${escape(node)}</b>` : "of the circuit";
  if (!paths.length) {
    return `<p class="obs-hint">No path ${where} from the embedding to the logits yet. Kept edges
      are found from the logits downwards, so paths appear late.</p>`;
  }
  const rows = paths.map((path) => {
    const ids = path.edges.map((edge) => edge.i);
    const stops = [path.edges[0].from, ...path.edges.map((edge) => edge.to)];
    const names = stops.map((i) => log.header.nodes[i][0]);
    const on = Boolean(selection?.path) && String(ids) === String(selection.edges);
    return `<li><button type="button" data-path="${ids}" data-through="${escape(node ?? "")}"
      aria-pressed="${on}"><span>${names.map(escape).join(" → ")}</span>
      <b>${measure(path.weight)}</b></button></li>`;
  }).join("");
  return `<p>The ${count(paths.length)} strongest paths ${where}, each with the effect of its
    weakest edge. Select one to see it alone.</p>
    <ol class="obs-list obs-paths" data-kept="${view.kept.length}">${rows}</ol>`;
}
