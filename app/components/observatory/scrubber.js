// Replay: a track over all decisions, play at four speeds, and the way back to live.

import { clock, count, icon, metricName } from "./format.js";

const SPEEDS = [1, 4, 16, 64];
const BASE_RATE = 8; // tested decisions a second at ×1

export class Scrubber {
  constructor(root, { seek, live }) {
    this.root = root;
    this.seek = seek;
    this.live = live;
    this.playing = false;
    this.speed = 16;
    this.debt = 0;
    this.html = {};
    root.innerHTML = TEMPLATE;
    this.range = root.querySelector("input");
    this.play = root.querySelector("[data-do=play]");
    this.range.addEventListener("input", () => this.#leave(Number(this.range.value)));
    root.addEventListener("click", (event) => this.#press(event.target.closest("[data-do]")));
    this.range.addEventListener("keydown", (event) => this.key(event));
  }

  #press(button) {
    if (!button || !this.log) return;
    const action = button.dataset.do;
    if (action === "play") this.toggle();
    if (action === "first") this.#leave(0);
    if (action === "back") this.#leave(this.step - 1);
    if (action === "forward") this.#leave(this.step + 1);
    if (action === "mark") this.#leave(Number(button.dataset.step));
    if (action === "live") this.#end();
    if (action === "speed") {
      this.speed = SPEEDS[(SPEEDS.indexOf(this.speed) + 1) % SPEEDS.length];
      button.textContent = `×${this.speed}`;
    }
  }

  /** Keys of a player. Returns true if the key was one of them. */
  key(event) {
    const jump = event.shiftKey ? this.#node(event.key === "ArrowRight" ? 1 : -1) : null;
    const moves = {
      ArrowLeft: () => this.#leave(jump ?? this.step - 1),
      ArrowRight: () => this.#leave(jump ?? this.step + 1),
      Home: () => this.#leave(0), End: () => this.#end(), " ": () => this.toggle(),
    };
    if (!moves[event.key] || !this.log) return false;
    event.preventDefault();
    moves[event.key]();
    return true;
  }

  /** The step at which the next or previous receiver begins. */
  #node(direction) {
    const steps = this.log.receiverStarts.map(([step]) => step);
    if (direction > 0) return steps.find((step) => step > this.step) ?? this.log.decided;
    return [...steps].reverse().find((step) => step < this.step) ?? 0;
  }

  #leave(step) {
    this.stop();
    this.seek(Math.max(0, Math.min(step, this.log.decided)));
  }

  #end() {
    this.stop();
    this.live();
  }

  toggle() {
    if (this.playing) return this.stop();
    if (!this.log) return undefined;
    if (this.step >= this.log.decided) this.seek(0);
    this.playing = true;
    this.debt = 0;
    this.before = performance.now();
    this.#button();
    requestAnimationFrame((now) => this.#frame(now));
    return undefined;
  }

  stop() {
    this.playing = false;
    this.#button();
  }

  #button() {
    this.play.dataset.playing = this.playing;
    this.play.setAttribute("aria-label", this.playing ? "Pause replay" : "Play");
  }

  #frame(now) {
    if (!this.playing) return;
    this.debt += Math.min(now - this.before, 250) * 0.001 * BASE_RATE * this.speed;
    this.before = now;
    let step = this.step;
    // Decisions without a test take no time in a replay either.
    while (this.debt >= 1 && step < this.log.decided) {
      if (!this.log.decision(step).skipped) this.debt -= 1;
      step += 1;
    }
    if (step !== this.step) this.seek(step);
    if (step >= this.log.decided) {
      if (!this.running) return this.stop();
      return this.#end();
    }
    requestAnimationFrame((later) => this.#frame(later));
    return undefined;
  }

  draw({ log, view, step, following, running, widths }) {
    Object.assign(this, { log, step, running });
    const { root, range } = this;
    const total = running ? log.header.edges : log.decided;
    range.max = String(total);
    range.value = String(step);
    range.setAttribute("aria-valuetext", `decision ${step} of ${log.header.edges}`);
    const share = (steps) => `${(100 * steps) / Math.max(total, 1)}%`;
    root.style.setProperty("--done", share(step));
    root.style.setProperty("--known", share(log.decided));
    root.querySelector(".obs-at").innerHTML = `<b>${count(step)}</b> of `
      + `${count(log.header.edges)} decisions <span>${clock(view.t)}</span>`;
    const live = root.querySelector("[data-do=live]");
    live.dataset.on = following;
    live.querySelector("span").textContent = running ? "Live" : "End";
    live.dataset.running = running;
    this.#put("ticks", ticks(log, total, widths.track || 200));
    this.#put("marks", marks(log, total));
    this.#put("moments", moments(log));
  }

  /** Write only what has changed: a mark that has the focus keeps it. */
  #put(name, html) {
    if (html !== this.html[name]) this.root.querySelector(`.obs-${name}`).innerHTML = html;
    this.html[name] = html;
  }
}

/** Where each layer begins, written under the track. */
function ticks(log, total, width) {
  const found = [];
  for (const [step, name] of log.receiverStarts) {
    const layer = /^[am](\d+)/.exec(name);
    const label = layer ? `L${layer[1]}` : "out";
    if (found.at(-1)?.label !== label) found.push({ label, step });
  }
  return found.map(({ label, step }, i) => {
    const room = (width * ((found[i + 1]?.step ?? total) - step)) / Math.max(total, 1);
    const left = (100 * step) / Math.max(total, 1);
    const text = room > 9 * label.length + 5 ? label : "";
    return `<i style="left:${left.toFixed(2)}%">${text}</i>`;
  }).join("");
}

/** Flags above the track: one press leads there. */
function marks(log, total) {
  return log.bookmarks.list(metricName(log.header.metric)).map(([step, what]) => {
    const words = `${what}: decision ${count(step)}`;
    const left = (100 * step) / Math.max(total, 1);
    return `<button type="button" data-do="mark" data-step="${step}" title="${words}"
      aria-label="${words}" tabindex="-1" style="left:${left.toFixed(2)}%"></button>`;
  }).join("");
}

/** The same in words, for whoever does not know what the flags are. */
function moments(log) {
  return log.bookmarks.list(metricName(log.header.metric)).map(([step, what]) =>
    `<button type="button" data-do="mark" data-step="${step}" title="Go to this decision">
      <i aria-hidden="true">▼</i>${what} <b>${count(step)}</b></button>`).join("");
}

const key = (action, label, hint, path) =>
  `<button type="button" data-do="${action}" aria-label="${label}" title="${hint}">`
  + `${icon(path)}</button>`;
const TEMPLATE = `
  <div class="obs-keys">
    ${key("first", "To the beginning", "Home", "M3 3h2v10H3zM13 3v10L6 8z")}
    ${key("back", "One decision back", "←", "M11 3v10L4 8z")}
    <button type="button" data-do="play" class="obs-play" aria-label="Play" title="Space">
      <svg viewBox="0 0 16 16" aria-hidden="true"><path class="go" d="M4 2.5v11L13 8z"/>
        <path class="halt" d="M4 3h3v10H4zM9 3h3v10H9z"/></svg></button>
    ${key("forward", "One decision forward", "→", "M5 3v10l7-5z")}
    <button type="button" data-do="speed" class="obs-speed" aria-label="Speed of the replay"
      title="Speed">×16</button>
  </div>
  <div class="obs-track">
    <div class="obs-marks" role="group" aria-label="Bookmarks"></div>
    <input type="range" min="0" max="0" value="0" step="1" aria-label="Decision shown">
    <div class="obs-ticks" aria-hidden="true"></div></div>
  <div class="obs-at"></div>
  <button type="button" data-do="live" class="obs-live" title="End">
    <b aria-hidden="true"></b><span>Live</span></button>
  <div class="obs-moments" role="group" aria-label="Moments of the search"></div>`;
