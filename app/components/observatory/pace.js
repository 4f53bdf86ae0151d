// How long drawing takes, so that a page which cannot keep up is asked less often.

const BUDGET = 150; // ms of drawing: a fifth of the shortest interval
const LAST = 5; // drawings looked at: one slow one changes nothing
const MOST = 2; // the interval is doubled at most so often

export class Pace {
  /** `tell` is given 0, 1 or 2: how often the interval should be doubled. */
  constructor(tell) {
    this.tell = tell;
    this.level = 0;
    this.spent = [];
  }

  note(ms, running) {
    if (!running) return;
    this.spent = [...this.spent.slice(1 - LAST), ms];
    if (this.spent.length < LAST) return;
    const median = [...this.spent].sort((a, b) => a - b)[LAST >> 1];
    // A little room before going back, so that the interval does not flicker.
    const wanted = (budget) => Math.ceil(Math.log2(median / budget));
    const level = Math.min(Math.max(wanted(BUDGET), 0), MOST);
    const calmer = Math.min(Math.max(wanted(0.7 * BUDGET), 0), MOST);
    const next = level > this.level ? level : Math.min(this.level, calmer);
    if (next === this.level) return;
    this.level = next;
    this.tell(next);
  }
}
