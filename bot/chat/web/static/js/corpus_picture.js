// One picture of the corpus: the model's jokes beside those that people wrote.

import { copy, page, say, setJoke, tighten } from "./page.js";

const stars = new Intl.NumberFormat(page.language, { maximumFractionDigits: 2 });

/**
 * An article for the feed. `number`: which it is, from 1; `all`: how many there are; `words`: what was searched for;
 * `again`: called with the article for other jokes of the model's.
 */
export function makePicture(picture, { number, all, words, again }) {
  const article = copy("picture-template");
  article.dataset.digest = picture.digest;
  article.setAttribute("aria-posinset", number);
  article.setAttribute("aria-setsize", all);
  const heading = article.querySelector("h2");
  heading.textContent = say("picture_heading", { n: number });
  heading.id = `picture-${number}`;
  article.setAttribute("aria-labelledby", heading.id);
  const image = article.querySelector("img");
  Object.assign(image, { width: picture.width, height: picture.height, alt: say("picture_alt", { n: number }) });
  image.src = picture.url;
  showWritten(article.querySelector(".by-people"), picture.written, words);
  showGenerated(article, picture.generated);
  article.querySelector(".again").addEventListener("click", () => again(article));
  return article;
}

/** The model's jokes, the best one large. Bubbles fit their text only once the article is on the page. */
export function showGenerated(article, jokes) {
  const [best, ...others] = jokes.map((joke) => joke.text);
  const bubble = article.querySelector(".joke");
  setJoke(bubble, best ?? say("speechless"));
  bubble.classList.toggle("problem", !best);
  article.querySelector(".others").replaceChildren(...others.map((text) => line(text)));
  article.querySelector(".others").hidden = others.length === 0;
  if (article.isConnected) tighten([bubble]);
}

function showWritten(section, jokes, words) {
  const lines = jokes.map((joke) => {
    const item = line(joke.text, words);
    if (joke.stars !== null) item.append(" ", starred(joke.stars));
    return item;
  });
  section.querySelector("ol").replaceChildren(...lines);
  section.querySelector("ol").hidden = lines.length === 0;
  const note = section.querySelector(".note");
  note.hidden = lines.length > 0;
  note.textContent = say("none_written");
}

/** A joke in the list, with the words that were searched for marked. */
function line(text, words = []) {
  const item = document.createElement("li");
  const said = Object.assign(document.createElement("span"), { dir: "auto" });
  said.append(...marked(text, words));
  said.lang = language(text);
  item.append(said);
  return item;
}

function language(text) {
  if (/[\u3040-\u30ff\u3400-\u9fff]/.test(text)) return "ja";
  if (/[\uac00-\ud7af]/.test(text)) return "ko";
  return /^[\x00-\x7f\u2010-\u2027]*$/.test(text) ? "en" : ""; // "": nobody knows
}

function marked(text, words) {
  if (words.length === 0) return [text];
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&")).join("|");
  return text.split(new RegExp(`(${pattern})`, "iu")).map((part, index) => {
    if (index % 2 === 0) return part;
    return Object.assign(document.createElement("mark"), { textContent: part });
  });
}

function starred(number) {
  const element = Object.assign(document.createElement("span"), { className: "stars" });
  const seen = Object.assign(document.createElement("span"), { textContent: `★${stars.format(number)}` });
  seen.setAttribute("aria-hidden", "true");
  const heard = Object.assign(document.createElement("span"), { className: "unseen" });
  heard.textContent = say("stars", { n: stars.format(number) });
  element.append(seen, heard);
  return element;
}
