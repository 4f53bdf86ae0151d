// Numbers and words as a reader sees them.

const ESCAPES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/** Text that is safe inside HTML; names hold `<q>`, model names anything. */
export const escape = (text) => String(text).replace(/[&<>"']/g, (c) => ESCAPES[c]);

export const count = (n) => Math.round(n).toLocaleString("en-US");

/** A measured quantity with three significant digits: 0.0132, 1.28, 1.2e-5. */
export function measure(x) {
  if (x === null || x === undefined || Number.isNaN(x)) return "–";
  const size = Math.abs(x);
  if (size === 0) return "0";
  if (size < 1e-4 || size >= 1e5) return x.toExponential(1).replaceAll("-", "−");
  return Number(x.toPrecision(3)).toString().replace("-", "−");
}

/** An effect always shows its sign. */
export const signed = (x) => (x > 0 ? "+" : "") + measure(x);

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)}%`;

export function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "–";
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `${Math.round(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
}

const twoDigits = (n) => String(Math.floor(n)).padStart(2, "0");
export const clock = (seconds) => `${twoDigits(seconds / 60)}:${twoDigits(seconds % 60)}`;

export function bytes(n) {
  if (!n) return "–";
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(Math.floor(Math.log10(n) / 3), 3);
  const value = n / 10 ** (3 * power);
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** `a9.h6` -> "layer 9 head 6". */
export function spoken(name) {
  const head = /^a(\d+)\.(h|kv)(\d+)/.exec(name);
  if (head) return `layer ${head[1]} ${head[2] === "h" ? "head" : "shared head"} ${head[3]}`;
  const mlp = /^m(\d+)/.exec(name);
  if (mlp) return `MLP of layer ${mlp[1]}`;
  return name === "input" ? "embedding" : "logits";
}

export const FORMAT_NAMES = {
  fp32: "FP32", bf16: "BF16", fp16: "FP16", "fp8-e4m3": "FP8 E4M3", "fp8-e5m2": "FP8 E5M2",
  int8: "INT8", int4: "INT4",
};
export const formatName = (fmt) => FORMAT_NAMES[fmt] ?? String(fmt ?? "FP32").toUpperCase();

const METRICS = {
  kl: "KL divergence", "logit-diff": "Logit difference", "prob-diff": "Probability difference",
  nll: "Negative log-likelihood", accuracy: "Error rate",
};
export const metricName = (metric) => METRICS[metric] ?? metric;

export const capital = (text) => text.replace(/^./, (letter) => letter.toUpperCase());

/** A button of this component's HTML; what it does is said by its data attributes. */
export const button = (attributes, inner, label = "") =>
  `<button type="button" ${attributes} ${label ? `aria-label="${escape(label)}"` : ""}>`
  + `${inner}</button>`;

/** A line drawing of 16 by 16. */
export const icon = (path) =>
  `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`;
