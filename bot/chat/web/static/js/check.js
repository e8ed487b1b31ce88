// ボケを見る: which pictures are wanted, and more of them as the visitor scrolls.

import "./header.js";
import { Refusal, call } from "./api.js";
import { makePicture, showGenerated } from "./corpus_picture.js";
import { listenToKeys } from "./keys.js";
import { announce, page, say, tighten } from "./page.js";

const AT_ONCE = 4; // pictures in one request
const AHEAD = "600px"; // how far below the window the next ones are fetched
const number = new Intl.NumberFormat(page.language);
const find = (id) => document.getElementById(id);
const form = find("wanted");
const feed = find("feed");

let wanted = {}; // what the pictures on the page are
let next = null; // behind which picture the next request begins; undefined: there are no more
let loading = null; // the request under way

/** Read the form, keep it in the address, and begin anew. */
function begin() {
  const { split, query, min_stars } = Object.fromEntries(new FormData(form));
  wanted = { split, query: query.trim(), min_stars: min_stars === "" ? null : Number(min_stars) };
  const address = new URL(location);
  const usual = { split: "train", query: "", min_stars: null };
  for (const [name, value] of Object.entries(wanted)) {
    if (value === usual[name]) address.searchParams.delete(name);
    else address.searchParams.set(name, value);
  }
  history.replaceState(null, "", address);
  feed.replaceChildren();
  feed.hidden = true;
  for (const id of ["none", "none-of-side", "end", "more"]) find(id).hidden = true;
  find("matching").textContent = "";
  next = null;
  loading = null;
  return more();
}

/** The pictures that follow; true where there were any. */
function more() {
  if (next === undefined) return Promise.resolve(false);
  if (!loading) {
    const mine = load().finally(() => {
      if (loading === mine) loading = null;
    });
    loading = mine;
  }
  return loading;
}

async function load() {
  const asked = wanted;
  find("trouble").hidden = true;
  find("loading").hidden = false;
  feed.setAttribute("aria-busy", "true");
  try {
    const found = await generate({ ...asked, count: AT_ONCE, after: next });
    if (asked !== wanted) return false; // something else is wanted by now
    next = found.next ?? undefined;
    add(found);
    return found.pictures.length > 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (asked === wanted) showTrouble(error);
    return false;
  } finally {
    if (asked === wanted) {
      find("loading").hidden = true;
      feed.setAttribute("aria-busy", "false");
    }
  }
}

function add({ pictures, matching }) {
  const before = feed.childElementCount;
  const words = wanted.query.split(/\s+/u).filter(Boolean);
  const articles = pictures.map((picture, index) =>
    makePicture(picture, { number: before + index + 1, all: matching, words, again }),
  );
  feed.append(...articles);
  feed.hidden = feed.childElementCount === 0;
  tighten(articles.map((article) => article.querySelector(".joke")));
  const filtered = wanted.query !== "" || wanted.min_stars !== null;
  find("none").hidden = matching > 0 || !filtered;
  find("none-of-side").hidden = matching > 0 || filtered;
  find("more").hidden = next === undefined;
  find("end").hidden = next !== undefined || feed.childElementCount === 0;
  find("matching").textContent = matching ? say("matching", { n: number.format(matching) }) : "";
  if (before && articles.length) announce(say("loaded", { n: articles.length }));
  if (!before) announce(matching ? find("matching").textContent : (filtered ? find("none") : find("none-of-side")).innerText);
  watch();
}

/** Look at the end of the page anew: it may still be near after pictures were added. */
function watch() {
  observer.unobserve(find("tail"));
  if (next !== undefined) observer.observe(find("tail"));
}

const observer = new IntersectionObserver(
  (entries) => {
    if (entries.at(-1).isIntersecting && next !== undefined) more();
  },
  { rootMargin: `0px 0px ${AHEAD} 0px` },
);

function showTrouble(error) {
  observer.unobserve(find("tail")); // not again before the visitor says so
  find("more").hidden = true;
  find("trouble").querySelector("p").textContent = error.message;
  find("trouble").hidden = false;
  announce(say("error", { text: error.message }));
}

/** Other jokes of the model's about a picture that is shown. */
async function again(article) {
  const button = article.querySelector(".again");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  announce(say("thinking"));
  try {
    const found = await generate({ split: wanted.split, count: 1, picture: article.dataset.digest });
    const [picture] = found.pictures;
    showGenerated(article, picture?.generated ?? []);
    announce(say("told", { text: article.querySelector(".joke").textContent }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    announce(say("error", { text: error.message }));
    article.querySelector(".refused")?.remove();
    button.after(Object.assign(document.createElement("p"), { className: "note refused", textContent: error.message }));
    return;
  } finally {
    button.removeAttribute("aria-disabled");
  }
  article.querySelector(".refused")?.remove();
}

async function generate(body) {
  const headers = { "Content-Type": "application/json" };
  return (await call("/api/generate", { method: "POST", headers, body: JSON.stringify(body) })).json();
}

function search() {
  form.elements.query.focus();
  form.elements.query.select();
}

/** What the address says is wanted. */
function readAddress() {
  const asked = new URLSearchParams(location.search);
  const side = form.querySelector(`[value="${asked.get("split") === "dev" ? "dev" : "train"}"]`);
  side.checked = true;
  form.elements.query.value = asked.get("query") ?? "";
  form.elements.min_stars.value = asked.get("min_stars") ?? "";
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  begin();
});
form.addEventListener("change", (event) => {
  if (event.target.name === "split") begin();
});
find("clear").addEventListener("click", () => {
  form.elements.query.value = form.elements.min_stars.value = "";
  form.elements.query.focus();
  begin();
});
find("more").addEventListener("click", more);
find("retry").addEventListener("click", async () => {
  const last = feed.lastElementChild;
  await more();
  (last?.nextElementSibling ?? feed.firstElementChild)?.focus({ preventScroll: true });
});
listenToKeys(feed, { more, again, search });
readAddress();
begin();
