// The mouse, finger or pen over a picture: what lies under it, and what was picked.
// Plotly draws, pans and zooms; what is hit is found here, along the whole of an edge.

const STILL = 5; // px; a longer way is a drag
const STILL_FINGER = 12;

export class Pointer {
  /**
   * `find(x, y, coarse)` returns {data, at} of what lies at a pixel of `element`, or null;
   * `pick(data or null, event)` is told of clicks, `hover(data or null, at)` of what is under.
   */
  constructor(element, { find, pick, hover }) {
    Object.assign(this, { element, find, pick, hover });
    this.down = null;
    this.held = false; // a button is down: drawing now would end a drag
    element.addEventListener("pointermove", (event) => this.#move(event));
    element.addEventListener("pointerleave", () => this.#show(null));
    element.addEventListener("pointerdown", (event) => this.#press(event), true);
  }

  #hit(event) {
    const box = this.element.getBoundingClientRect();
    const coarse = event.pointerType === "touch";
    return this.find(event.clientX - box.x, event.clientY - box.y, coarse);
  }

  #move(event) {
    if (this.held || event.pointerType === "touch") return;
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.#show(this.#hit(event)));
  }

  #show(hit) {
    this.element.toggleAttribute("data-hit", Boolean(hit));
    this.hover(hit?.data ?? null, hit?.at);
  }

  #press(event) {
    this.down = { x: event.clientX, y: event.clientY, hit: this.#hit(event) };
    this.held = true;
    // While a button is down Plotly covers the page, so the release is not seen by `element`.
    const over = (last) => {
      window.removeEventListener("pointerup", over, true);
      window.removeEventListener("pointercancel", over, true);
      this.#release(last);
    };
    window.addEventListener("pointerup", over, true);
    window.addEventListener("pointercancel", over, true);
  }

  #release(event) {
    this.held = false;
    const { x, y, hit } = this.down;
    const most = event.pointerType === "touch" ? STILL_FINGER : STILL;
    if (event.type === "pointercancel" || Math.hypot(event.clientX - x, event.clientY - y) > most) {
      return;
    }
    this.pick(hit?.data ?? null, event);
    if (event.pointerType === "touch") this.#show(hit);
  }
}
