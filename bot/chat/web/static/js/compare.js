// What two models say of one picture, where their jokes come from, and what they take the picture for.

import { asOwner } from "./admin.js";
import { Refusal } from "./api.js";
import { copy, page, reveal, say, setText } from "./page.js";

const percent = new Intl.NumberFormat(page.language, { style: "percent" });
const plain = new Intl.NumberFormat(page.language, { maximumFractionDigits: 2 });
const element = (id) => document.getElementById(id);
let shown = ""; // the picture's address in this browser

/** Asks both, and shows what they say. `models`: two of { name, label }. Raises Refusal. */
export async function compareOn(file, models) {
  if (file.size > page.max_bytes) throw new Refusal("too_large", say("too_large"), false);
  const form = new FormData();
  form.append("a", models[0].name);
  form.append("b", models[1].name);
  form.append("image", file, file.name || "picture");
  const told = await (await asOwner("/api/models/compare", { method: "POST", body: form })).json();
  URL.revokeObjectURL(shown);
  shown = URL.createObjectURL(file);
  element("chosen").src = shown;
  element("chosen").alt = say("chosen_alt");
  element("opinions").replaceChildren(...told.models.map((opinion, index) => article(opinion, models[index].label)));
  element("result").hidden = false;
  reveal(element("result"), "start");
}

function article(opinion, label) {
  const place = copy("opinion-template");
  place.querySelector("h3").textContent = label;
  place.querySelector(".sayings").append(...opinion.said.map(saying));
  const unknown = place.querySelector(".no-origins");
  unknown.hidden = opinion.quotes;
  unknown.textContent = say("no_origins");
  place.querySelector("h4").textContent = say("near");
  place.querySelector("h4").hidden = !opinion.near.length;
  place.querySelector(".neighbours").append(...opinion.near.map(neighbour));
  return place;
}

function saying({ text, origins }) {
  const line = copy("saying-template");
  setText(line.querySelector(".said"), text);
  const details = line.querySelector("details");
  details.hidden = !origins.length;
  if (origins.length) {
    const closest = say("alike", { n: percent.format(origins[0].likeness) });
    details.querySelector("summary").textContent = `${say("origins")} (${closest})`;
    details.querySelector("ul").append(...origins.map(origin));
  }
  return line;
}

function origin({ text, likeness, url }) {
  const line = document.createElement("li");
  const joke = url ? Object.assign(document.createElement("a"), { href: url }) : document.createElement("span");
  line.append(setText(joke, text), " ", small(say("alike", { n: percent.format(likeness) })));
  return line;
}

function neighbour({ url, similarity, jokes }, index) {
  const line = copy("neighbour-template");
  const image = line.querySelector("img");
  image.alt = say("near_alt", { n: index + 1 });
  image.addEventListener("error", () => image.remove(), { once: true });
  if (url) image.src = url;
  else image.remove();
  line.querySelector(".quiet").textContent = say("near_by", { n: plain.format(similarity) });
  setText(line.querySelector(".written"), jokes[0] ?? "");
  return line;
}

function small(text) {
  return Object.assign(document.createElement("small"), { textContent: text });
}
