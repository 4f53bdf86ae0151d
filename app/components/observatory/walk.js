// Keyboard: arrows move a cursor over the drawn nodes, E goes through the edges of a node.

import { mainEdge, mainNode } from "./selection.js";

const DIRECTIONS = {
  ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
};

/** The drawn node that `key` moves the cursor to, or null if the key does not walk. */
export function walk(key, { arrangement, cursor, selection }) {
  const direction = DIRECTIONS[key];
  if (!direction) return null;
  const { nodes } = arrangement;
  const here = nodes.find(({ id }) => id === (cursor ?? mainNode(selection)));
  return here ? nearest(nodes, here, direction) ?? here : nodes.at(-1);
}

function nearest(nodes, here, [right, up]) {
  let best = null;
  let least = Infinity;
  for (const node of nodes) {
    const dx = node.x - here.x;
    const dy = node.y - here.y;
    const along = right ? dx * right : dy * up;
    const aside = right ? Math.abs(dy) : Math.abs(dx);
    if (node === here || along <= 0.01) continue;
    const cost = right ? along + 20 * aside : 4 * along + aside;
    if (cost < least) [best, least] = [node, cost];
  }
  return best;
}

/** The kept edge after the selected one, of those at `node` (a name) or of all; null if none. */
export function nextEdge({ view, log, selection }, node) {
  const { nodes } = log.header;
  const at = mainEdge(selection);
  const name = node ?? (at === null ? null : nodes[log.decision(at).from][0]);
  const edges = view.kept.filter((edge) =>
    !name || nodes[edge.from][0] === name || nodes[edge.to][0] === name);
  if (!edges.length) return null;
  const place = edges.findIndex((edge) => edge.i === at);
  return edges[(place + 1) % edges.length].i;
}
