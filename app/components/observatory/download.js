// A picture as a file: PNG at twice the size for slides, SVG for print.

import { ramp } from "./colours.js";
import { count, escape, metricName } from "./format.js";

const LINE = 26; // px of title and legend
const SQUARES = 12; // of a scale of colours

const safe = (text) => String(text).split("/").at(-1).replace(/[^\w.-]+/g, "-");

/** What the picture shows, in one line. */
function title(scene, name) {
  const { log, view, drawn } = scene;
  const { header } = log;
  const where = `${header.task} in ${header.model}`;
  if (name === "map") return `${where}: ${scene.mode.shows(scene)}`;
  const shown = drawn.shown < view.kept.length ? `${count(drawn.shown)} of ` : "";
  return `${where}: ${shown}${count(view.kept.length)} of ${count(header.edges)} edges kept, `
    + `τ = ${header.threshold} ${header.unit} of ${metricName(header.metric)}`;
}

/** What the colours of the map's cells mean, in squares of those colours; null if letters do. */
function cells(scene) {
  const scale = scene.mode.scale(scene);
  if (!scale) return null;
  const steps = [...Array(SQUARES).keys()].map((i) => ramp(scale.stops, i / (SQUARES - 1)));
  const squares = steps.map((colour) => `<span style="color:${colour}">■</span>`).join("");
  return `${scale.from} ${squares} ${scale.to}`;
}

/** The colours of the edges in words of those colours. */
function colours({ theme, log, colourBy }) {
  const names = {
    reads: { q: "query", k: "key", v: "value", ...(log.header.size.mlp ? { mlp: "MLP" } : {}),
      logits: "logits" },
    sign: { up: "cutting it hurts", down: "cutting it helps" },
  }[colourBy];
  if (!names) return "dark: found late";
  return Object.entries(names).map(([kind, text]) =>
    `<span style="color:${theme[colourBy][kind]}">━ ${text}</span>`).join("   ");
}

function figure(element, scene, name) {
  const { theme } = scene;
  const { width, height, margin, ...layout } = element.layout;
  const words = (text, y, more) => ({
    xref: "paper", yref: "paper", x: 0, xanchor: "left", showarrow: false, text,
    font: { size: 13, color: theme.ink }, ...more, y,
  });
  const annotations = [
    ...(layout.annotations ?? []),
    words(escape(title(scene, name)), 1, { yanchor: "bottom", yshift: margin.t + 2, xshift: -38 }),
  ];
  const meaning = name === "graph" ? colours(scene) : cells(scene);
  if (meaning) annotations.push(words(meaning, 0, { yanchor: "top", yshift: -margin.b }));
  return {
    data: element.data,
    layout: {
      ...layout, annotations, paper_bgcolor: theme.surface, plot_bgcolor: theme.surface,
      width, height: height + 2 * LINE,
      margin: { ...margin, t: margin.t + LINE, b: margin.b + LINE },
    },
    config: { displaylogo: false, showSendToCloud: false },
  };
}

/** Save what `picture` shows now; `kind` is "png" or "svg". */
export async function download(picture, name, kind) {
  const { element, scene } = picture;
  const made = figure(element, scene, name);
  const { width, height } = made.layout;
  const scale = kind === "png" ? 2 : 1;
  const url = await scene.Plotly.toImage(made, { format: kind, width, height, scale });
  const { task, model } = scene.log.header;
  const link = document.createElement("a");
  link.href = url;
  const what = name === "map" ? scene.mode.file : "circuit";
  link.download = `pahq-${safe(task)}-${safe(model)}-${what}.${kind}`;
  link.click();
}
