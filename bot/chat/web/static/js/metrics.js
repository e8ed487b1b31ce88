// The figures that a model is judged by, one model's or two beside each other.

import { page, say } from "./page.js";

// name: 1 where more is better, -1 where less is
const FIGURES = [
  ["bits_per_char", "bits_per_char_why", -1],
  ["r_at_10", "r_at_10_why", 1],
  ["median_rank", "median_rank_why", -1],
  ["distinct_2", "distinct_2_why", 1],
  ["novelty", "novelty_why", 1],
  ["self_repeat", "self_repeat_why", -1],
  ["spearman_funny", "spearman_funny_why", 1],
];
const SHARES = new Set(["r_at_10", "novelty", "self_repeat", "distinct_2"]);
const plain = new Intl.NumberFormat(page.language, { maximumFractionDigits: 3 });
const percent = new Intl.NumberFormat(page.language, { style: "percent", maximumFractionDigits: 1 });

/** A figure as people read it; "–" where there is none. */
export function figure(name, value) {
  if (value == null) return "–";
  return (SHARES.has(name) ? percent : plain).format(value);
}

/** Fills a table with figures. `models`: [{ label, metrics }], of two the first is the newer one. */
export function fillFigures(table, models) {
  const known = FIGURES.filter(([name]) => models.some(({ metrics }) => metrics[name] != null));
  const head = document.createElement("tr");
  head.append(...[say("metric"), ...models.map(({ label }) => label)].map((text) => cell("th", text, "col")));
  table.tHead.replaceChildren(head);
  table.tBodies[0].replaceChildren(...known.map((one) => line(one, models)));
  return known.length > 0;
}

function line([name, why, direction], models) {
  const row = document.createElement("tr");
  const title = cell("th", say(name), "row");
  title.append(small(say(why)));
  row.append(title, ...models.map(({ metrics }) => value(name, metrics)));
  const [mine, other] = models.map(({ metrics }) => metrics[name]);
  if (mine != null && other != null && mine !== other) {
    const better = Math.sign(mine - other) === direction;
    row.cells[1].append(small(`${better ? "▲" : "▽"} ${say(better ? "better" : "worse")}`));
  }
  return row;
}

function value(name, metrics) {
  const place = document.createElement("td");
  place.append(Object.assign(document.createElement("strong"), { textContent: figure(name, metrics[name]) }));
  const range = metrics[`${name}_ci95`];
  if (range) place.append(small(say("between", { low: figure(name, range[0]), high: figure(name, range[1]) })));
  if (name === "r_at_10" && metrics.chance_r_at_10 != null) {
    place.append(small(say("by_chance", { n: figure(name, metrics.chance_r_at_10) })));
  }
  return place;
}

function cell(tag, text, scope) {
  return Object.assign(document.createElement(tag), { textContent: text, scope });
}

function small(text) {
  return Object.assign(document.createElement("small"), { textContent: text });
}
