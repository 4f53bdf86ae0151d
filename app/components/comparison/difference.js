// Two circuits in one graph, and the list of the edges on which they disagree.

import { button, count, escape, icon } from "../pahq.observatory/format.js";
import { flipList } from "./flips.js";
import { Graph } from "./graph.js";
import { shared, tell } from "./link.js";

const TOOLS = [
  ["in", "Zoom in", icon("M8 3v10M3 8h10")],
  ["out", "Zoom out", icon("M3 8h10")],
  ["fit", "Show everything", icon("M3 6V3h3M10 3h3v3M13 10v3h-3M6 13H3v-3")],
];
const STEP = 1.35;

export class Difference {
  constructor(root, app) {
    this.root = root;
    this.app = app;
    this.hidden = new Set();
    root.innerHTML = FRAME;
    this.part = (name) => root.querySelector(`[data-part=${name}]`);
    this.graph = new Graph(this.part("graph"), () => app.draw());
    root.addEventListener("click", (event) => this.#clicked(event.target));
  }

  update(data) {
    const pair = `${data.reference} ${data.other}`;
    if (pair !== this.pair) {
      this.pair = pair;
      this.hidden.clear();
      if (shared.edge) tell("edge", null);
    }
    this.data = data;
    this.part("pair").dataset.same = data.flipped === 0;
    this.part("graph").setAttribute("aria-label", data.words);
    this.part("budget").textContent = data.hidden
      ? `showing the ${count(data.shown)} strongest; ${count(data.hidden)} of both are not drawn`
      : "";
  }

  destroy() {
    this.graph.destroy(this.app.Plotly);
  }

  async draw({ Plotly, theme }) {
    const { data } = this;
    this.part("legend").innerHTML = legend(data, this.hidden);
    this.part("flips").innerHTML = flipList(data, shared.edge?.edge);
    const look = ({ only }) => (only === "reference"
      ? { color: theme.sign.up, width: 5 } : { color: theme.sign.down, width: 5, dash: "9px,5px" });
    const { hidden } = this;
    await this.graph.draw(Plotly, data.figures[theme.name], { theme, hidden, look });
  }

  told(what) {
    if (what === "range") this.graph.follow();
    else if (what === "edge") this.app.draw();
  }

  #clicked(target) {
    const { tool, kind, edge } = target.closest("[data-tool],[data-kind],[data-edge]")?.dataset ?? {};
    if (tool === "fit") tell("range", null);
    else if (tool) this.graph.zoom(tool === "in" ? 1 / STEP : STEP);
    if (kind) {
      if (!this.hidden.delete(kind)) this.hidden.add(kind);
      this.app.draw();
    }
    if (edge) this.#light(edge);
  }

  #light(edge) {
    const { path, kept } = this.data.flips.find((flip) => flip.edge === edge);
    const only = kept[0] ? "reference" : "other";
    tell("edge", shared.edge?.edge === edge ? null : { edge, path, only });
    this.root.querySelector(`[data-edge="${CSS.escape(edge)}"]`)?.focus({ preventScroll: true });
    const { top, bottom } = this.part("graph").getBoundingClientRect();
    const away = bottom < 120 || top > window.innerHeight - 120;
    if (shared.edge && away) this.part("graph").scrollIntoView({ block: "center" });
  }
}

const FRAME = `<div class="cmp-pair" data-part="pair">
  <section class="cmp-card">
    <header><div class="cmp-legend" data-part="legend"></div><div class="cmp-tools">${
      TOOLS.map(([name, label, inner]) => button(
        `data-tool="${name}" class="cmp-tool" title="${label}"`, inner, label,
      )).join("")}</div></header>
    <p class="cmp-budget" data-part="budget"></p>
    <div data-part="graph" role="img"></div>
  </section>
  <section class="cmp-card cmp-flips" data-part="flips" aria-label="Edges with different verdicts">
  </section>
</div>`;

function legend({ names, counts }, hidden) {
  const labels = {
    both: "Kept by both", reference: `Only ${names[0]}`, other: `Only ${names[1]}`,
  };
  return Object.entries(labels).map(([kind, label]) => button(
    `data-kind="${kind}" aria-pressed="${!hidden.has(kind)}"`,
    `<i class="cmp-stroke" data-line="${kind}"></i>${escape(label)} <b>${count(counts[kind])}</b>`,
  )).join("");
}
