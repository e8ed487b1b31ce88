// What the server says about this page, and small helpers that every module uses.

export const page = JSON.parse(document.getElementById("page").textContent);

/** The words called `name`, with {values} filled in. */
export function say(name, values = {}) {
  return page.texts[name].replace(/\{(\w+)\}/g, (whole, key) => values[key] ?? whole);
}

/** A copy of a template's one element. */
export function copy(id) {
  return document.getElementById(id).content.firstElementChild.cloneNode(true);
}

/** Tell a screen reader, once, without moving the focus. */
export function announce(text) {
  const status = document.getElementById("status");
  status.textContent = ""; // the same words twice in a row are to be heard twice
  requestAnimationFrame(() => {
    status.textContent = text;
  });
}

/** Bring an element into view; gently, where the visitor has nothing against motion. */
export function reveal(element, block = "nearest") {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  element.scrollIntoView({ block, behavior: still ? "instant" : "smooth" });
}

/** A text in the language it is in: lines are broken and read aloud by it. */
export function setText(place, text) {
  place.textContent = text;
  place.lang = languageOf(text);
  return place;
}

/** A joke in the language it is in. The bubble closes tightly around its lines. */
export function setJoke(bubble, text) {
  bubble.firstElementChild.textContent = text;
  bubble.lang = languageOf(text);
}

function languageOf(text) {
  return /[\u3040-\u30ff\u3400-\u9fff]/.test(text) ? "ja" : "en";
}

/** Take back the room that a bubble keeps beside lines which ended early. */
export function tighten(bubbles) {
  for (const bubble of bubbles) bubble.style.width = "";
  const widths = bubbles.map((bubble) => [bubble, bubble.firstElementChild.offsetWidth, getComputedStyle(bubble)]);
  for (const [bubble, width, style] of widths) {
    const beside = ["paddingLeft", "paddingRight", "borderLeftWidth", "borderRightWidth"];
    bubble.style.width = `${width + 1 + beside.reduce((sum, name) => sum + parseFloat(style[name]), 0)}px`;
  }
}

addEventListener("resize", () => tighten([...document.querySelectorAll(".joke")]));
