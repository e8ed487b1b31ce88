// データ: fetches the numbers and fills the page with them.

import "./header.js";
import { Refusal, call } from "./api.js";
import { Chart, number } from "./chart.js";
import { announce, page, say } from "./page.js";

const DAY_MS = 24 * 3600 * 1000;
const percent = new Intl.NumberFormat(page.language, { style: "percent", maximumFractionDigits: 1 });
const date = new Intl.DateTimeFormat(page.language, { dateStyle: "medium" });
const shortDay = new Intl.DateTimeFormat(page.language, { month: "numeric", day: "numeric", timeZone: "UTC" });
// What the page has words for; a filter that it does not know stands there by its own name.
const FILTERS = new Set([
  "filter_fill_in_the_blank",
  "filter_length",
  "filter_links_and_mentions",
  "filter_unwanted_words",
  "filter_flagged",
  "filter_min_stars",
  "filter_domain",
  "filter_duplicates",
  "filter_per_picture_cap",
  "filter_most",
]);
const find = (id) => document.getElementById(id);

async function load() {
  find("trouble").hidden = true;
  find("counting").hidden = false;
  try {
    const data = await (await call("/api/data")).json();
    find("data").hidden = false; // charts are as wide as their place
    show(data);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    find("trouble").querySelector("p").textContent = error.message;
    find("trouble").hidden = false;
    announce(say("error", { text: error.message }));
  } finally {
    find("counting").hidden = true;
  }
}

function show({ model, corpus }) {
  showModel(model);
  const empty = corpus.jokes === 0;
  find("empty").hidden = !empty;
  find("sizes").hidden = empty;
  find("charts").hidden = empty;
  if (corpus.waiting) setNote("waiting", say("waiting", { n: number(corpus.waiting) }));
  if (empty) return;
  fill("train", corpus.train.jokes, corpus.train.pictures);
  fill("dev", corpus.dev.jokes, corpus.dev.pictures);
  fill("total", corpus.jokes, corpus.pictures);
  showGrowth(corpus.growth);
  showSpread("per_picture", corpus.per_picture, say("per_picture_x"), say("pictures"));
  showSpread("lengths", corpus.lengths, say("lengths_x"), say("jokes"));
  showSpread("stars", corpus.stars, say("stars_x"), say("jokes"));
  if (corpus.stars.count && corpus.stars.unknown) {
    const unknown = say("unstarred", { n: number(corpus.stars.unknown) });
    setNote("stars-note", `${find("stars-note").textContent} · ${unknown}`);
  }
  if (corpus.filtered) showFilters(corpus.filtered);
}

function showModel(model) {
  find("no-model").hidden = model !== null;
  document.querySelector(".facts").hidden = model === null;
  if (!model) return;
  const names = new Intl.DisplayNames([page.language], { type: "language", fallback: "code" });
  const facts = {
    vocabulary: say("units", { n: number(model.vocabulary) }),
    texts: model.texts && say("texts_value", { n: number(model.texts) }),
    seen: model.pictures && say("seen_value", { n: number(model.pictures) }),
    encoder: model.encoder,
    recipe: model.recipe === "starter" ? say("starter") : model.recipe,
    "language-of-model": model.language && names.of(model.language),
  };
  for (const [name, value] of Object.entries(facts)) {
    find(name).querySelector("dd").textContent = value || "";
    find(name).hidden = !value;
  }
}

/** The corpus day by day, with the days on which nothing came. */
function showGrowth({ before, days }) {
  const first = Date.parse(days[0].day);
  const length = Math.round((Date.parse(days[days.length - 1].day) - first) / DAY_MS) + 1;
  const added = Array.from({ length }, () => ({ jokes: 0, pictures: 0 }));
  for (const each of days) added[Math.round((Date.parse(each.day) - first) / DAY_MS)] = each;
  const totals = { jokes: before.jokes, pictures: before.pictures };
  const size = [{ ...totals }]; // on the day before
  for (const { jokes, pictures } of added) {
    totals.jokes += jokes;
    totals.pictures += pictures;
    size.push({ ...totals });
  }
  drawDays("growth", "lines", first - DAY_MS, size);
  drawDays("added", "bars", first, added);
}

function drawDays(id, kind, first, values) {
  new Chart(find(id), {
    kind,
    x: { label: say("day"), names: values.map((_, index) => shortDay.format(first + index * DAY_MS)) },
    series: ["jokes", "pictures"].map((name) => ({ label: say(name), values: values.map((each) => each[name]) })),
  });
}

function showSpread(id, spread, label, counted) {
  find(id).parentElement.hidden = spread.count === 0;
  if (spread.count === 0) return;
  setNote(`${id}-note`, say("mean", { mean: number(rounded(spread.mean)), max: number(spread.max) }));
  new Chart(find(id), {
    kind: "bars",
    x: { label, names: spread.bins.map((bin) => binName(bin, spread.whole)) },
    series: [{ label: counted, values: spread.bins.map((bin) => bin.count) }],
  });
}

function rounded(value) {
  return Math.round(value * 100) / 100;
}

function binName({ from, to }, whole) {
  if (to === null) return say("or_more", { n: number(from) });
  const last = whole ? to - 1 : to;
  return last === from ? number(from) : `${number(from)}–${number(last)}`;
}

function showFilters({ run, ended, read, kept, dropped }) {
  const when = ended ? date.format(new Date(ended)) : "…";
  const all = dropped.every((each) => each.jokes === 0) ? ` ${say("filters_all_kept")}` : "";
  setNote("filters-note", say("filters_run", { run, when }) + all);
  find("filters").hidden = false;
  find("filters-none").hidden = true;
  const most = Math.max(1, ...dropped.map((each) => each.jokes));
  const rows = dropped.map(({ filter, jokes }) => {
    const row = document.createElement("tr");
    const head = Object.assign(document.createElement("th"), { scope: "row" });
    const name = FILTERS.has(`filter_${filter}`) ? say(`filter_${filter}`) : filter;
    const bar = Object.assign(document.createElement("span"), { className: "bar" });
    bar.style.width = `${(100 * jokes) / most}%`;
    head.append(name, bar);
    row.append(head, document.createElement("td"), document.createElement("td"));
    return fillRow(row, number(jokes), percent.format(read ? jokes / read : 0));
  });
  find("filters").querySelector("tbody").replaceChildren(...rows);
  fillRow(find("read"), number(read), "");
  fillRow(find("kept"), number(kept), percent.format(read ? kept / read : 0));
}

function fill(id, ...numbers) {
  fillRow(find(id), ...numbers.map(number));
}

function fillRow(row, ...words) {
  row.querySelectorAll("td").forEach((cell, index) => {
    cell.textContent = words[index];
  });
  return row;
}

function setNote(id, text) {
  find(id).textContent = text;
  find(id).hidden = !text;
}

find("trouble").querySelector("button").addEventListener("click", load);
await load();
