// Plotly, loaded once from the installed wheel, and what both pictures share.

import { Pointer } from "./pointer.js";

let loading = null;

export function plotly() {
  loading ??= new Promise((resolve, reject) => {
    if (window.Plotly) return resolve(window.Plotly);
    const script = document.createElement("script");
    script.src = new URL("../pahq.plotly/plotly.min.js", import.meta.url).href;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly.min.js could not be loaded"));
    document.head.appendChild(script);
    return undefined;
  });
  return loading;
}

const CONFIG = {
  displayModeBar: false, displaylogo: false, showSendToCloud: false, doubleClick: false,
  responsive: false, scrollZoom: true,
};

/** A picture in `element`. Subclasses say how it is drawn and what lies at a pixel of it. */
export class Picture {
  constructor(element, { onPick, onHover, onResize }, config = {}) {
    this.element = element;
    this.config = { ...CONFIG, ...config };
    this.box = { width: element.clientWidth, height: element.clientHeight };
    this.observer = new ResizeObserver(() => this.#measure(onResize));
    this.observer.observe(element);
    const find = (x, y, coarse) => (this.scene ? this.find(x, y, coarse) : null);
    this.pointer = new Pointer(element, { find, pick: onPick, hover: onHover });
  }

  get held() {
    return this.pointer.held;
  }

  /** Kept, since asking a page for sizes in the middle of a drawing makes it lay itself out. */
  #measure(changed) {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || (width === this.box.width && height === this.box.height)) return;
    this.box = { width, height };
    changed();
  }

  destroy() {
    this.observer.disconnect();
    this.scene?.Plotly?.purge(this.element);
  }

  async react(traces, layout) {
    await this.scene.Plotly.react(this.element, traces, layout, this.config);
  }

  /** Pixel of a data point, relative to the element. */
  pixel(x, y) {
    const { xaxis, yaxis } = this.element._fullLayout;
    return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
  }
}

export function baseLayout(theme, extra) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    hovermode: false, dragmode: "pan",
    font: { family: theme.font, size: 12, color: theme.muted },
    ...extra,
  };
}

/** A colour with transparency; `hex` as #rrggbb. */
export function fade(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16},${(value >> 8) & 255},${value & 255},${alpha})`;
}
