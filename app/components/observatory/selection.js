// What is selected: {nodes: [names]}, or {edges: [decisions]}, which may be a `path`.

export const nodesOf = (selection) => selection?.nodes ?? [];
export const edgesOf = (selection) => selection?.edges ?? [];

/** The node whose details are shown: the one that was added last. */
export const mainNode = (selection) => nodesOf(selection).at(-1) ?? null;

/** The one selected edge; null for a path, a bundle or nothing. */
export const mainEdge = (selection) =>
  (edgesOf(selection).length === 1 && !selection.path ? selection.edges[0] : null);

/** The selection after `data` was picked; `adding` with Shift held. */
export function pickedOn(selection, data, adding) {
  if (!data) return adding ? selection : null;
  if (!data.nodes) return { edges: data.edges, path: data.path, through: data.through };
  if (!adding || !selection?.nodes) return { nodes: data.nodes };
  const all = data.nodes.every((name) => selection.nodes.includes(name));
  const rest = selection.nodes.filter((name) => !data.nodes.includes(name));
  const nodes = all ? rest : [...rest, ...data.nodes];
  return nodes.length ? { nodes } : null;
}

/** A function that says of an edge whether it belongs to the selection. */
export function touching(selection, { nodes }) {
  if (selection.edges) {
    const chosen = new Set(selection.edges);
    return (edge) => chosen.has(edge.i);
  }
  const chosen = new Set(selection.nodes);
  return (edge) => chosen.has(nodes[edge.from][0]) || chosen.has(nodes[edge.to][0]);
}

export function fromUrl({ node, edge }) {
  if (node) return { nodes: node.split(",") };
  return Number.isInteger(edge) ? { edges: [edge] } : null;
}

export function toUrl(selection) {
  return {
    node: nodesOf(selection).join(",") || undefined,
    edge: mainEdge(selection) ?? undefined,
  };
}
