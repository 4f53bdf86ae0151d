// The key figures of the step that is shown.

import { bytes, count, duration, measure, metricName, percent } from "./format.js";
import { storedBytes } from "./weights.js";

const tile = (name, label, value, below, extra = "") =>
  `<div class="obs-kpi" data-kpi="${name}"><dt>${label}</dt><dd>${value}</dd>`
  + `<p>${below}</p>${extra}</div>`;

export function kpis(scene) {
  const { log, view, running, ending } = scene;
  const { header } = log;
  const share = view.step / Math.max(header.edges, 1);
  const summary = ending?.summary;
  const open = header.edges - log.decided;
  const whole = !running && view.step >= log.decided;
  return [
    tile("kept", "Edges kept", count(view.kept.length),
      whole && summary && open ? `plus ${count(open)} undecided`
        : `of ${count(header.edges)} in the model`),
    tile("decided", "Decided", percent(share), `${count(view.skipped)} without a test`,
      `<div class="obs-bar"><i style="width:${(100 * share).toFixed(2)}%"></i></div>`),
    tile("damage", metricName(header.metric),
      `${measure(whole && summary ? summary.damage : view.damage)} <small>${header.unit}</small>`,
      whole && summary ? "of the circuit, in FP32" : "of the cuts so far", spark(view)),
    tile("recovered", "Behaviour recovered",
      whole && summary ? recovered(summary) : "–",
      recoveredNote(scene, whole && summary)),
    speed({ ...scene, summary, whole }),
    memory({ ...scene, summary }),
  ].join("");
}

/** Why there is no number yet, or what it is measured by. */
function recoveredNote({ log, view, running, status }, known) {
  if (known) {
    return log.decided < log.header.edges ? "with all undecided" : "100% = the full model";
  }
  if (view.step < log.decided) return "of the whole run";
  if (!running) return "not measured: unfinished";
  return log.decided < log.header.edges && status.kind !== "stopping"
    ? "known at the end" : "being measured";
}

function recovered(summary) {
  const { damage_nothing_kept: nothing, damage_everything_kept: all, damage } = summary;
  const span = nothing - all;
  return span > 0 && Number.isFinite(damage) ? percent((nothing - damage) / span, 1) : "–";
}

function speed({ log, view, running, status, summary, whole }) {
  const tested = view.step - view.skipped;
  const rate = view.t > 0 ? tested / view.t : null;
  const value = rate ? `${count(rate)} <small>tests/s</small>` : "–";
  let below = `after ${duration(view.t)}`;
  if (running && view.step >= log.decided && status.kind !== "stopping") {
    const left = Math.max(timeLeft(view, log.header.edges), 1); // "about under 1 s" is no English
    below = tested > 8 ? `about ${duration(left)} left` : "measuring";
  } else if (whole && summary) {
    below = `took ${duration(summary.wall_s)}`;
  }
  return tile("speed", "Speed", value, below);
}

/** As in app/status.py: about half of what is open will fall without a test, until measured. */
function timeLeft(view, edges) {
  const tested = view.step - view.skipped;
  const share = (tested + 0.15 * edges) / (view.step + 0.3 * edges);
  return (view.t / tested) * share * (edges - view.step);
}

function memory(scene) {
  const { summary, status, running } = scene;
  const stored = storedBytes(scene);
  const below = stored ? `weights ${bytes(stored.now)} of ${bytes(stored.full)}` : "whole process";
  const now = running ? status.memory : null;
  const peak = summary?.peak_bytes || status.peak;
  return tile("memory", now ? "Memory" : "Peak memory", bytes(now ?? peak), below);
}

/** Damage over the decisions so far, as a small line. */
function spark(view) {
  const points = view.damages;
  if (points.length < 2) return "";
  const every = Math.max(1, Math.floor(points.length / 60));
  const some = points.filter((_, i) => i % every === 0 || i === points.length - 1);
  const most = Math.max(...some.map((p) => p[1]), 1e-12);
  const least = Math.min(...some.map((p) => p[1]), 0);
  const x = (i) => ((100 * i) / (some.length - 1)).toFixed(1);
  const y = (damage) => (22 - (20 * (damage - least)) / (most - least || 1)).toFixed(1);
  const path = some.map(([, damage], i) => `${x(i)},${y(damage)}`);
  return `<svg class="obs-spark" viewBox="0 0 100 24" preserveAspectRatio="none"
    aria-hidden="true"><polyline points="${path.join(" ")}"/></svg>`;
}
