// Two small charts drawn as SVG: all effects against the threshold, damage against size.

import { count, measure } from "./format.js";

const LOW = -6; // effects below 1e-6 share the first column
const HIGH = 1;
const BINS = 28;
const place = (x) => {
  const share = (Math.log10(Math.abs(x) || 1e-12) - LOW) / (HIGH - LOW);
  return Math.min(Math.max(share, 0), 1);
};

export function histogram({ log, step, edge }) {
  const bins = Array.from({ length: BINS }, () => [0, 0]);
  for (let i = 0; i < step; i += 1) {
    const row = log.rows[log.decisions[i]];
    if (row.length < 3) continue;
    bins[Math.min(Math.floor(place(row[3]) * BINS), BINS - 1)][row[2]] += 1;
  }
  const most = Math.max(...bins.map(([out, kept]) => out + kept), 1);
  const height = (n) => 62 * (Math.log1p(n) / Math.log1p(most));
  const width = 300 / BINS - 1.4;
  const bars = bins.map(([out, kept], i) => {
    const x = (300 * i) / BINS + 0.7;
    const all = height(out + kept);
    const part = all * (kept / Math.max(out + kept, 1));
    const bar = (name, y, tall) =>
      `<rect class="${name}" x="${x}" y="${y}" width="${width}" height="${tall}"/>`;
    return bar("out", 66 - all, all - part) + bar("kept", 66 - part, part);
  }).join("");
  const tau = 300 * place(log.header.threshold);
  const mine = 300 * place(edge.effect);
  const ticks = [-6, -4, -2, 0].map((power) => {
    const anchor = power === LOW ? "start" : "middle";
    const text = power === 0 ? "1" : `1e−${-power}`;
    return `<text x="${300 * place(10 ** power)}" y="80" text-anchor="${anchor}">${text}</text>`;
  }).join("");
  const words = "Histogram of the size of all effects; "
    + `the threshold is ${log.header.threshold}`;
  return `<svg class="obs-hist" viewBox="0 -14 300 98" role="img" aria-label="${words}">
    ${bars}<line class="base" x1="0" x2="300" y1="66.5" y2="66.5"/>
    <line class="tau" x1="${tau}" x2="${tau}" y1="-4" y2="66"/>
    <text class="tau" x="${tau}" y="-6" text-anchor="middle">τ</text>
    <path class="mine" d="M${mine} 66 l-5 -9 h10z"/>${ticks}</svg>`;
}

/** Damage against the number of edges that remain; removals run from right to left. */
export function damageChart({ log, view, width }) {
  const points = view.damages;
  if (points.length < 2) return '<p class="obs-hint">Appears with the first decisions.</p>';
  const every = Math.max(1, Math.floor(points.length / 300));
  const some = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  const total = log.header.edges;
  const values = some.map((p) => p[1]);
  const most = Math.max(...values, 1e-9);
  // Noise far below the threshold is to look like noise.
  const top = Math.max(most, Math.min(log.header.threshold, 10 * most));
  const bottom = Math.min(...values, 0);
  const x = (remaining) => 46 + (width - 56) * (1 - remaining / total);
  const y = (damage) => 112 - (100 * (damage - bottom)) / (top - bottom || 1);
  const path = some
    .map(([remaining, damage]) => `${x(remaining).toFixed(1)},${y(damage).toFixed(1)}`)
    .join(" ");
  const [remaining, damage] = points.at(-1);
  const grid = [0, 0.5, 1].map((share) => {
    const value = bottom + share * (top - bottom);
    const at = y(value);
    return `<line class="grid" x1="46" x2="${width - 10}" y1="${at}" y2="${at}"/>
      <text x="40" y="${at + 4}" text-anchor="end">${measure(value)}</text>`;
  }).join("");
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const anchor = { 0: "end", 1: "start" }[share] ?? "middle";
    const text = count(share * total);
    return `<text x="${x(share * total)}" y="130" text-anchor="${anchor}">${text}</text>`;
  }).join("");
  const words = `Damage ${measure(damage)} ${log.header.unit} `
    + `with ${count(remaining)} edges remaining`;
  return `<svg class="obs-damage" viewBox="0 0 ${width} 134" role="img" aria-label="${words}">
    ${grid}<polyline points="${path}"/>
    <circle cx="${x(remaining)}" cy="${y(damage)}" r="4"/>${ticks}</svg>`;
}
