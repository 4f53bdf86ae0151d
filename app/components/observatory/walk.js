// Keyboard: up and down a layer, left and right a slot, E through a node's edges.

/** What `key` selects from `selection`, or null if the key does not walk. */
export function walk(key, scene, selection) {
  const { nodes } = scene.log.header;
  if (key === "Escape") return null;
  if (key.toLowerCase() === "e") return nextEdge(scene, selection);
  const directions = {
    ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0],
  };
  const direction = directions[key];
  if (!direction) return null;
  const here = nodes.find(([name]) => name === selection?.node);
  if (!here) return { node: "logits" };
  const best = nearest(nodes, here, direction);
  return { node: (best ?? here)[0] };
}

function nearest(nodes, [name, , , , x0, y0], [right, up]) {
  let best = null;
  let least = Infinity;
  for (const node of nodes) {
    const dx = node[4] - x0;
    const dy = node[5] - y0;
    const along = right ? dx * right : dy * up;
    const aside = right ? Math.abs(dy) : Math.abs(dx);
    if (node[0] === name || along <= 0.01) continue;
    const cost = right ? along + 20 * aside : 4 * along + aside;
    if (cost < least) [best, least] = [node, cost];
  }
  return best;
}

function nextEdge({ view, log }, selection) {
  const node = selection?.node ?? (selection?.edge === undefined ? null
    : log.header.nodes[log.decision(selection.edge).from][0]);
  const edges = view.kept.filter((e) =>
    !node || log.header.nodes[e.from][0] === node || log.header.nodes[e.to][0] === node);
  if (!edges.length) return null;
  const at = edges.findIndex((e) => e.i === selection?.edge);
  return { edge: edges[(at + 1) % edges.length].i };
}
