// Colours that carry numbers, and letters that can be read on them.

const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const mix = (from, to, share) => `#${parts(from).map((a, i) =>
  Math.round(a + (parts(to)[i] - a) * share).toString(16).padStart(2, "0")).join("")}`;

/** The colour at `share` (0 to 1) of the way through `stops`. */
export function ramp(stops, share) {
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1);
  const low = Math.min(Math.floor(place), stops.length - 2);
  return mix(stops[low], stops[low + 1], place - low);
}

/** From pale to strong, for numbers from 1 on. */
export const strengths = (colour, { surface }) =>
  [mix(surface, colour, 0.25), mix(surface, colour, 0.95)];

/** The scale of such numbers; null where one colour is all there is. */
export const countScale = (colour, most, theme) =>
  (most > 1 ? { stops: strengths(colour, theme), from: "1", to: String(most) } : null);

/** A cell where there is nothing to count. */
export const nothing = ({ surface, faint }) => mix(surface, faint, 0.25);

function luminance(hex) {
  const [red, green, blue] = parts(hex).map((part) => part / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** The colour of a letter on `fill`: ink or surface, whichever is told apart better. */
export function inkOn(fill, { ink, surface }) {
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const light = luminance(fill);
  return contrast(luminance(ink), light) >= contrast(luminance(surface), light) ? ink : surface;
}
