// Every run in a card of its own: its precision plan above, the circuit it found below.

import { button, count, escape, icon } from "../pahq.observatory/format.js";
import { Graph } from "./graph.js";
import { shared, tell } from "./link.js";
import { PlanMap, momentWords } from "./plan.js";

const OPEN = icon("M6 3H3v10h10v-3M9 3h4v4M13 3L7.5 8.5");

export class Multiples {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    root.addEventListener("click", (event) => {
      const open = event.target.closest("[data-open]");
      if (open) app.send("open", open.dataset.open);
    });
    this.cards = [];
  }

  update(data) {
    const look = JSON.stringify(data.runs.map((run) => [run.id, run.title, run.line]));
    this.data = data;
    if (!data.runs.some((run) => shared.focus in run.moments)) shared.focus = data.focus;
    if (look === this.look) return;
    this.look = look;
    if (shared.range) tell("range", null); // of another model, perhaps
    this.destroy();
    this.root.innerHTML = `${key(data)}<div class="cmp-cards" data-count="${data.runs.length}">${
      data.runs.map(card).join("")}</div>`;
    const redraw = () => this.app.draw();
    this.cards = data.runs.map((run, i) => {
      const part = (name) => this.root.querySelectorAll(`[data-part=${name}]`)[i];
      const point = (name) => { if (name !== shared.focus) tell("focus", name); };
      return {
        map: new PlanMap(part("map"), { point, redraw }), words: part("words"),
        graph: new Graph(part("circuit"), redraw),
      };
    });
  }

  destroy() {
    for (const { map, graph } of this.cards) {
      map.destroy(this.app.Plotly);
      graph.destroy(this.app.Plotly);
    }
    this.cards = [];
  }

  async draw(context) {
    this.context = context;
    const { Plotly, theme } = context;
    await Promise.all([this.#maps(), ...this.cards.map(({ graph }, i) => {
      const run = this.data.runs[i];
      const { circuit } = run.figures[theme.name];
      const look = ({ edge }) => (run.kept.includes(edge)
        ? { color: theme.ink, width: 4 } : { color: theme.muted, width: 2.5, dash: "2px,4px" });
      return graph.draw(Plotly, circuit, { theme, look });
    })]);
  }

  async #maps() {
    const { Plotly, theme } = this.context;
    const { bits } = this.data.encoding;
    const { focus } = shared;
    await Promise.all(this.cards.map(({ map, words }, i) => {
      const run = this.data.runs[i];
      words.textContent = momentWords(run, focus);
      return map.draw(Plotly, run.figures[theme.name].map, { run, focus, theme, bits });
    }));
  }

  told(what) {
    if (what === "range") this.cards.forEach(({ graph }) => graph.follow());
    else if (what === "edge") this.app.draw();
    else if (this.context) this.#maps();
  }
}

/** What squares, rings and lines of the cards stand for. */
function key({ runs, encoding }) {
  const formats = runs.flatMap(({ formats: plan, moments }) => (
    [plan, ...Object.values(moments)].flatMap(Object.values)));
  const bits = [...new Set(formats.map((format) => encoding.bits[format] ?? 32))];
  const squares = bits.sort((a, b) => b - a).map((n) => `<b data-bits="${n}">${n}</b>`).join("");
  const reads = [["q", "query"], ["k", "key"], ["v", "value"], ["mlp", "MLP"], ["logits", "logits"]]
    .map(([kind, word]) => `<span><i class="cmp-stroke" data-read="${kind}"></i>${word}</span>`);
  return `<div class="cmp-key"><span>${squares} bits of each component</span>
    <span><i class="cmp-ring" data-ring="now"></i>tested now; point at another</span>
    <span><i class="cmp-ring"></i>raised when its turn comes</span>
    <span class="cmp-reads">edges kept, into ${reads.join("")}</span></div>`;
}

function card(run) {
  const words = `${run.title}: ${count(run.kept.length)} edges kept`;
  return `<article class="cmp-card" data-run="${escape(run.id)}">
    <header><b class="cmp-role">${escape(run.role)}</b><h3>${escape(run.title)}</h3>
      <p>${escape(run.line)}</p>
      ${button(`data-open="${escape(run.id)}" class="cmp-tool"`, OPEN, `Open ${run.title} in Discover`)}
    </header>
    <div data-part="map" role="img" aria-label="Number formats of ${escape(run.title)}"></div>
    <p class="cmp-words" data-part="words" aria-live="polite"></p>
    <div data-part="circuit" role="img" aria-label="${escape(words)}"></div>
  </article>`;
}
