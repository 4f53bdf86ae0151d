// Three moments of a search worth a look, found while its log is read.

export class Bookmarks {
  constructor() {
    this.head = null; // step after the decision
    this.jump = null;
    this.cut = null;
    this.largest = 0;
    this.before = 0;
  }

  /** Take the next row; `step` decisions are made with it. */
  read(row, step, header) {
    if (row[0] === "f") this.before = row[3];
    if (typeof row[0] !== "number" || row.length < 3) return;
    const [sender, , kept, , damage] = row;
    if (kept && this.head === null && header.nodes[header.senders[sender]][1] === "head") {
      this.head = step;
    }
    if (!kept) this.cut = step;
    if (Math.abs(damage - this.before) > this.largest) {
      this.largest = Math.abs(damage - this.before);
      this.jump = step;
    }
    this.before = damage;
  }

  /** [step, what it is] of those that were found, in order; what falls together is one. */
  list(metric) {
    const found = [
      [this.head, "First head kept"], [this.jump, `Largest jump of the ${metric}`],
      [this.cut, "Last removal"],
    ].filter(([step]) => step !== null);
    const together = Map.groupBy(found, ([step]) => step);
    return [...together].sort(([a], [b]) => a - b)
      .map(([step, names]) => [step, names.map(([, what]) => what).join(" · ")]);
  }
}
