// The number format of every component while one of them is tested.

import { formatName, spoken } from "../pahq.observatory/format.js";

const LEFT = 48;
const TOP = 22;
const CONFIG = { displayModeBar: false, displaylogo: false, showSendToCloud: false };

export class PlanMap {
  constructor(element, { point, redraw }) {
    this.element = element;
    this.point = point;
    this.observer = new ResizeObserver(() => {
      if (element.clientWidth && element.clientWidth !== this.width) redraw();
    });
    this.observer.observe(element);
  }

  destroy(Plotly) {
    this.observer.disconnect();
    Plotly?.purge(this.element);
  }

  async draw(Plotly, figure, { run, focus, theme, bits }) {
    this.width = this.element.clientWidth;
    const [base] = figure.data;
    const columns = Math.max(...base.x) + 1;
    const rows = Math.max(...base.y) + 1;
    const cell = Math.min((this.width - LEFT - 8) / (columns + 0.2), 38);
    const size = Math.max(cell - 4, 5);
    const small = size < 14;
    const cells = {
      ...base, mode: small ? "markers" : "markers+text", marker: { ...base.marker, size },
      textfont: { ...base.textfont, size: Math.min(12, size * 0.44) },
    };
    const height = TOP + 8 + cell * (rows + 0.2);
    const layout = this.#layout(figure.layout, { theme, columns, rows, cell, height });
    const traces = [cells, ...momentTraces(base, { run, focus, theme, bits, size, small })];
    await Plotly.react(this.element, traces, layout, CONFIG);
    if (this.bound) return;
    this.bound = true;
    const pointed = (event) => event.points[0]?.id && this.point(event.points[0].id);
    this.element.on("plotly_hover", pointed);
    this.element.on("plotly_click", pointed);
  }

  #layout({ template, ...rest }, { theme, columns, rows, cell, height }) {
    const spare = (this.width - LEFT - 8) / cell - columns; // in cells, at the right
    const axis = { fixedrange: true, tickfont: { size: 11, color: theme.muted } };
    return {
      ...rest, width: this.width, height, dragmode: false, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: theme.font, color: theme.muted },
      xaxis: { ...rest.xaxis, ...axis, range: [-0.55, columns - 0.55 + Math.max(spare, 0.1)] },
      yaxis: { ...rest.yaxis, ...axis, range: [-0.6, rows - 0.4] },
      hoverlabel: {
        bgcolor: theme.surface, bordercolor: theme.faint,
        font: { family: theme.font, size: 12.5, color: theme.ink },
      },
    };
  }
}

/** What computes in another format at this moment, and a ring around what is tested. */
function momentTraces(base, { run, focus, theme, bits, size, small }) {
  const raised = Object.entries(run.moments[focus] ?? {})
    .map(([name, format]) => ({ at: base.ids.indexOf(name), bits: String(bits[format] ?? 32) }))
    .filter(({ at }) => at >= 0);
  const tested = base.ids.indexOf(focus);
  const squares = (list, marker, extra = {}) => ({
    type: "scatter", mode: "markers", hoverinfo: "skip", cliponaxis: false,
    x: list.map((i) => base.x[i]),
    y: list.map((i) => base.y[i]), marker: { symbol: "square", ...marker }, ...extra,
  });
  return [
    squares(raised.map(({ at }) => at), {
      size, color: raised.map((cell) => theme.bits[cell.bits]),
      line: { width: 2, color: theme.accent },
    }, {
      mode: small ? "markers" : "markers+text", text: raised.map((cell) => cell.bits),
      textposition: "middle center",
      textfont: {
        size: Math.min(12, size * 0.44), color: raised.map((cell) => theme.bits_ink[cell.bits]),
      },
    }),
    squares(tested < 0 ? [] : [tested], {
      size: size + 7, color: "rgba(0,0,0,0)",
      line: { width: 2.5, color: raised.length ? theme.accent : theme.ink },
    }),
  ];
}

/** In words what a run computes in which format at this moment. */
export function momentWords(run, focus) {
  if (!focus) return "";
  if (!(focus in run.moments)) return `${capital(spoken(focus))} was not tested in this run.`;
  const counts = new Map();
  for (const [name, format] of Object.entries({ ...run.formats, ...run.moments[focus] })) {
    if (name in run.formats) counts.set(format, (counts.get(format) ?? 0) + 1);
  }
  const parts = [...counts].sort((a, b) => a[1] - b[1]);
  const all = parts.length === 1 ? `everything in ${formatName(parts[0][0])}` : null;
  const some = parts.map(([format, n]) => `${n} in ${formatName(format)}`).join(", ");
  return `While ${spoken(focus)} is tested: ${all ?? some}.`;
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
