// Which nodes are drawn and where they stand: the full grid, the circuit alone drawn close
// together, and layers as one node each.

/**
 * `places` as pahq/viz/compact.py makes them, or null for the grid; `collapsed` holds layers.
 * Returns {key, nodes, of, floors, width, height}: `nodes` as drawn, each with the header's nodes
 * that it stands for; `of` gives the drawn node of each of the header's, -1 for none.
 */
export function arrange(header, { places, collapsed }) {
  const { size } = header;
  const floors = places
    ? places.floors.map(([layer, low, high]) => ({ layer, low, high }))
    : header.floors.map((low, layer) => ({ layer, low, high: low + size.band }));
  const { width, height } = places ?? size;
  const nodes = [];
  const of = new Array(header.nodes.length).fill(-1);
  const layers = new Map();
  header.nodes.forEach(([name, kind, layer, slot, x, y], i) => {
    const place = places ? places.places[name] : [x, y];
    if (!place) return;
    const whole = (kind === "head" || kind === "mlp") && collapsed.has(layer);
    if (whole && layers.has(layer)) {
      of[i] = layers.get(layer);
      nodes[of[i]].members.push(i);
      return;
    }
    of[i] = nodes.length;
    if (whole) {
      layers.set(layer, nodes.length);
      nodes.push(wholeLayer(floors.find((floor) => floor.layer === layer), nodes[0].x, i));
    } else {
      const label = kind === "head" ? String(slot) : "";
      nodes.push({ id: name, kind, layer, label, x: place[0], y: place[1], members: [i] });
    }
  });
  const key = `${places ? "compact" : "grid"}:${[...collapsed].sort((a, b) => a - b)}`;
  return { key, nodes, of, floors, width, height };
}

/** Layers stand in one column, above the embedding. */
const wholeLayer = ({ layer, low, high }, x, member) => ({
  id: `L${layer}`, kind: "layer", layer, label: `L${layer}`,
  x, y: (low + high) / 2, members: [member],
});

/** Where the label of a layer stands: beside its heads. */
export const labelHeight = (floor, headRow) => Math.min(floor.low + headRow, floor.high);

/** Between two arrangements, from 0 to 1; a node that is new is at its place from the start. */
export function between(from, to, share) {
  const mix = (a, b) => a + (b - a) * share;
  const before = new Map(from.nodes.map((node) => [node.id, node]));
  const nodes = to.nodes.map((node) => {
    const old = before.get(node.id) ?? node;
    return { ...node, x: mix(old.x, node.x), y: mix(old.y, node.y) };
  });
  return {
    ...to, key: `${to.key}@${share}`, nodes,
    width: mix(from.width, to.width), height: mix(from.height, to.height),
  };
}

/** Names of the header's nodes that a drawn node stands for. */
export const namesOf = (node, header) => node.members.map((i) => header.nodes[i][0]);
