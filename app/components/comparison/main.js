// The pictures of page Compare: runs side by side, or the difference of two. Both use the theme,
// the numbers' formats and the plotly.js of the observatory.

import { plotly } from "../pahq.observatory/plot.js";
import { currentTheme, publish } from "../pahq.observatory/theme.js";
import { Difference } from "./difference.js";
import { listen } from "./link.js";
import { Multiples } from "./multiples.js";

const KINDS = { multiples: Multiples, difference: Difference };
const instances = new WeakMap();

export default function mount({ data, parentElement, setTriggerValue }) {
  let app = instances.get(parentElement);
  if (!app) {
    app = new Pictures(parentElement, data.kind);
    instances.set(parentElement, app);
  }
  app.send = setTriggerValue;
  app.update(data);
  return () => {
    if (parentElement.isConnected) return;
    instances.delete(parentElement);
    app.destroy();
  };
}

class Pictures {
  constructor(parent, kind) {
    this.root = document.createElement("div");
    this.root.className = "cmp";
    parent.appendChild(this.root);
    const inner = document.createElement("div");
    this.root.appendChild(inner);
    this.shown = new KINDS[kind](inner, this);
    this.stopListening = listen((what) => this.shown.told(what));
    plotly().then((Plotly) => { this.Plotly = Plotly; this.draw(); }, () => this.fail());
  }

  update(data) {
    this.encoding = data.encoding;
    this.shown.update(data);
    this.draw();
  }

  destroy() {
    this.gone = true;
    this.stopListening();
    this.shown.destroy();
    this.root.remove();
  }

  /** One drawing at a time; a wish that comes meanwhile is drawn next. */
  async draw() {
    if (!this.Plotly || !this.encoding || this.gone) return;
    if (this.drawing) { this.again = true; return; }
    this.drawing = true;
    const theme = currentTheme(this.root, this.encoding);
    publish(theme, this.root);
    try {
      await this.shown.draw({ Plotly: this.Plotly, theme });
    } finally {
      this.drawing = false;
    }
    if (this.again) { this.again = false; this.draw(); return; }
    this.root.dataset.drawn = "true";
  }

  fail() {
    this.root.innerHTML = `<p class="cmp-none"><b>The pictures cannot be drawn.</b> plotly.js did
      not load from this computer; reload the page.</p>`;
  }
}
