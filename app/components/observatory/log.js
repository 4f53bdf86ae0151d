// The run's log and what it looks like after any number of decisions.
// The same rules as pahq/viz/view.py; a test compares the two.

import { Bookmarks } from "./bookmarks.js";

export const FLASH = 30;
export const TRAIL = 10;

/** Rows arrive in order and are never changed; `viewAt` reads them. */
export class Log {
  constructor(header) {
    this.header = header;
    this.rows = [];
    this.decisions = []; // index into rows of each decision
    this.decided = 0;
    this.largest = 0; // largest |effect| of a kept edge, for widths
    this.receiverStarts = []; // [step, receiver name]
    this.raises = []; // [step, names that compute in another format from there on]
    this.effects = { least: Infinity, most: -Infinity }; // smallest size, largest effect tested
    this.bookmarks = new Bookmarks();
    this.view = fresh(header);
  }

  /** Take rows `from` on. Returns false if some in between are missing. */
  take(from, rows) {
    if (from > this.rows.length) return false;
    for (const row of rows.slice(this.rows.length - from)) this.#add(row);
    return true;
  }

  #add(row) {
    this.rows.push(row);
    if (row[0] === "r") this.receiverStarts.push([this.decided, row[1]]);
    if (row[0] === "f") this.raises.push([this.decided, Object.keys(row[2])]);
    const decision = typeof row[0] === "number";
    if (decision) {
      this.decisions.push(this.rows.length - 1);
      this.decided += 1;
    }
    this.bookmarks.read(row, this.decided, this.header);
    if (!decision || row.length < 3) return;
    const [, , kept, effect] = row;
    if (kept) this.largest = Math.max(this.largest, Math.abs(effect));
    this.effects.least = Math.min(this.effects.least, Math.abs(effect));
    this.effects.most = Math.max(this.effects.most, effect);
  }

  /** The run after `step` decisions. Going forward costs only the new rows. */
  viewAt(step) {
    const end = step >= this.decided ? this.rows.length : this.decisions[step];
    if (this.view.read > end) this.view = fresh(this.header);
    while (this.view.read < end) advance(this.view, this.rows[this.view.read++], this.header);
    return this.view;
  }

  /** The decision that comes after `step`, or null where the log ends. */
  next(step) {
    const row = this.rows[this.decisions[step]];
    return row ? this.edgeOf(row, step) : null;
  }

  decision(i) {
    return this.edgeOf(this.rows[this.decisions[i]], i);
  }

  edgeOf(row, i) {
    return edge(row, i, this.header);
  }
}

function edge(row, i, header) {
  const [name, to, kind] = header.receivers[row[1]];
  const from = header.senders[row[0]];
  const skipped = row.length < 3;
  return {
    i, from, to, kind, skipped, receiver: name,
    name: `${header.nodes[from][0]}->${name}`,
    kept: !skipped && row[2] === 1,
    effect: skipped ? 0 : row[3],
    damage: skipped ? null : row[4],
    t: skipped ? null : row[5],
  };
}

function fresh(header) {
  const zeros = () => new Array(header.nodes.length).fill(0);
  return {
    read: 0, step: 0, skipped: 0, kept: [], removed: [], receiver: null, focuses: [],
    overrides: {}, raised: {}, damage: null, t: 0, damages: [],
    keptOut: zeros(), keptIn: zeros(), decidedOut: zeros(), decidedIn: zeros(), strength: zeros(),
  };
}

function advance(view, row, header) {
  if (typeof row[0] === "number") return decide(view, row, header);
  if (row[0] === "r") view.receiver = row[1];
  if (row[0] === "f") {
    view.focuses.push(row[1]);
    view.overrides = row[2];
    view.damage = row[3];
    for (const name of Object.keys(row[2])) view.raised[name] = (view.raised[name] ?? 0) + 1;
  }
  return undefined;
}

function decide(view, row, header) {
  const e = edge(row, view.step, header);
  view.step += 1;
  view.decidedOut[e.from] += 1;
  view.decidedIn[e.to] += 1;
  if (e.skipped) {
    view.skipped += 1;
    return;
  }
  view.t = e.t;
  const before = view.damage;
  view.damage = e.damage;
  e.before = before;
  if (e.kept) {
    view.kept.push(e);
    view.keptOut[e.from] += 1;
    view.keptIn[e.to] += 1;
    view.strength[e.from] += Math.abs(e.effect);
    view.strength[e.to] += Math.abs(e.effect);
  } else {
    view.removed.push(e);
    if (view.removed.length > 4 * FLASH) view.removed = view.removed.slice(-2 * FLASH);
  }
  view.damages.push([header.edges - view.step + view.kept.length, e.damage, view.step]);
}

/** "in", "open" (not yet decided) or "out". */
export function standing(view, header, node) {
  const kind = header.nodes[node][1];
  if (kind === "input" || kind === "logits" || view.keptOut[node] > 0) return "in";
  return view.decidedOut[node] < header.outgoing[node] ? "open" : "out";
}

/** Format of a component at this moment; after the end nothing is raised any more. */
export const formatOf = (view, header, name) =>
  (view.over ? undefined : view.overrides[name]) ?? header.formats[name] ?? "fp32";
