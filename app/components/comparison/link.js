// What all pictures of the page share: the moment shown in the maps, the edge that is lit up, the
// part of the graph that is in view. Whoever changes one of them tells the others.

const listeners = new Set();

export const shared = { focus: null, edge: null, range: null };

/** Change what is shared; `what` is one of its names. */
export function tell(what, value) {
  shared[what] = value;
  for (const listener of listeners) listener(what);
}

/** Be told of changes; returns the function that ends it. */
export function listen(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
