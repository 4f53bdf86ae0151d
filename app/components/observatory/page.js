// What the component touches of the page around it.

const OVER = 768; // px of width below which Streamlit's sidebar lies over the page
const LINKS = ["stTopNavLink", "stTopNavDropdownLink", "stSidebarNavLink"]
  .map((name) => `[data-testid="${name}"]:not([aria-current="page"])`).join();

/** Whether a press there asks for another page. What is sent to the present one from then on until
 *  the new one begins would call it back: Streamlit shows the page of the newest message. */
export const isPageLink = (target) => Boolean(target.closest?.(LINKS));

/** Close the sidebar where it covers what was asked for in it. */
export function closeDrawer() {
  if (window.innerWidth >= OVER) return;
  const close = '[data-testid="stSidebarCollapseButton"] button[aria-expanded="true"]';
  document.querySelector(close)?.click();
}

/** Write where a run stands into the strip: with the picture, never before or after it. */
export function tellStrip({ detail }) {
  const words = document.querySelector(".strip em[data-live]");
  if (words && words.textContent !== detail) words.textContent = detail;
}
