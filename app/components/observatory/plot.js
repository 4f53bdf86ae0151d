// Plotly, loaded once from the installed wheel, and what both pictures share.

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

export const CONFIG = {
  displayModeBar: false, displaylogo: false, showSendToCloud: false, doubleClick: false,
  responsive: false, scrollZoom: true,
};

export function baseLayout(theme, extra) {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
    hovermode: "closest", hoverdistance: 14, dragmode: "pan",
    font: { family: theme.font, size: 12, color: theme.muted },
    ...extra,
  };
}

/** Pixel of a data point, relative to the plot's element. */
export function pixel(gd, x, y) {
  const { xaxis, yaxis } = gd._fullLayout;
  return [xaxis._offset + xaxis.d2p(x), yaxis._offset + yaxis.d2p(y)];
}

/** Call `pick(customdata or null)` on a click; null for a click beside everything. */
export function onClick(gd, pick) {
  let hovered = null;
  let down = null;
  gd.on("plotly_hover", (event) => { hovered = event.points[0]?.customdata ?? null; });
  gd.on("plotly_unhover", () => { hovered = null; });
  gd.addEventListener("pointerdown", (event) => {
    down = [event.clientX, event.clientY];
    gd.held = true; // drawing now would end a drag
    // While a button is down Plotly covers the page, so the release is not seen by `gd`.
    window.addEventListener("pointerup", release, { once: true, capture: true });
  }, true);
  function release(event) {
    gd.held = false;
    const moved = Math.hypot(event.clientX - down[0], event.clientY - down[1]);
    if (moved < 5) pick(hovered, event);
  }
}

/** Keep a plot as wide as its box. `draw` is called again when the box changes. */
export function watchSize(element, draw) {
  let width = element.clientWidth;
  const observer = new ResizeObserver(() => {
    if (Math.abs(element.clientWidth - width) < 2) return;
    width = element.clientWidth;
    if (width > 0) draw();
  });
  observer.observe(element);
  return () => observer.disconnect();
}

/** A colour with transparency; `hex` as #rrggbb. */
export function fade(hex, alpha) {
  const value = parseInt(hex.slice(1), 16);
  return `rgba(${value >> 16},${(value >> 8) & 255},${value & 255},${alpha})`;
}
