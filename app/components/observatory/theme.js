// Light or dark follows Streamlit's own variables, so a switch needs no rerun.

function luminance(colour) {
  const probe = document.createElement("span");
  probe.style.color = colour;
  document.body.appendChild(probe);
  const [r, g, b] = (getComputedStyle(probe).color.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  probe.remove();
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

let last = {};

/** The theme of `encoding` that fits the background around `element`, with the app's font. */
export function currentTheme(element, encoding) {
  const style = getComputedStyle(element);
  const background = style.getPropertyValue("--st-background-color").trim() || "#ffffff";
  const font = style.getPropertyValue("--st-font").trim() || "sans-serif";
  if (last.background !== background || last.font !== font || last.encoding !== encoding) {
    const name = luminance(background) < 0.4 ? "dark" : "light";
    last = { background, font, encoding, theme: { ...encoding.themes[name], font } };
  }
  return last.theme;
}

/** Hand the theme's colours to style.css. */
export function publish(theme, element) {
  element.dataset.theme = theme.name;
  const set = (name, value) => element.style.setProperty(`--obs-${name}`, value);
  for (const name of ["surface", "band", "ink", "muted", "faint", "accent"]) set(name, theme[name]);
  for (const [kind, colour] of Object.entries(theme.reads)) set(`read-${kind}`, colour);
  for (const [bits, colour] of Object.entries(theme.bits)) set(`bits-${bits}`, colour);
  for (const [bits, colour] of Object.entries(theme.bits_ink)) set(`bits-ink-${bits}`, colour);
  for (const [sign, colour] of Object.entries(theme.sign)) set(`sign-${sign}`, colour);
}

export const stillPlease = () => matchMedia("(prefers-reduced-motion: reduce)").matches;
