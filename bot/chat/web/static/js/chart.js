// A chart with the table of its numbers: uPlot draws, colours come from the style sheet, words from the browser.

import { page } from "./page.js";

const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]; // who cannot tell the colours tells the lines
const HEIGHT = 260; // pixels
const whole = new Intl.NumberFormat(page.language);
const broken = new Intl.NumberFormat(page.language, { maximumSignificantDigits: 4 });
const day = new Intl.DateTimeFormat(page.language, { month: "numeric", day: "numeric" });
const moment = new Intl.DateTimeFormat(page.language, { dateStyle: "medium", timeStyle: "short" });

/** A number as people read it; "–" where there is none. */
export function number(value) {
  if (value == null || Number.isNaN(value)) return "–";
  return (Number.isInteger(value) ? whole : broken).format(value);
}

/**
 * Fills a figure of templates/charts.html. `content`, for the constructor and `show`:
 *   kind: "lines" or "bars"
 *   x: { label, values, names?, time? }   ascending numbers; `names` say something else for each; `time`: Unix seconds
 *   y: { label? }
 *   series: [{ label, values }]           up to four; null where there is no value
 */
export class Chart {
  constructor(figure, content) {
    this.figure = figure;
    this.place = figure.querySelector(".plot");
    this.plot = null;
    this.show(content);
    new ResizeObserver(() => this.fit()).observe(this.place);
    new MutationObserver(() => this.draw()).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Other numbers. */
  show(content) {
    this.content = content;
    this.fillLegend();
    this.fillTable();
    this.draw();
  }

  fit() {
    const width = this.place.clientWidth;
    if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  draw() {
    this.plot?.destroy();
    const { x, series } = this.content;
    const at = x.names ? x.names.map((_, index) => index) : x.values;
    this.plot = new uPlot(this.options(at), [at, ...series.map((one) => one.values)], this.place);
  }

  options(at) {
    const { kind, x, y, series } = this.content;
    const style = getComputedStyle(this.figure);
    const colour = (name) => style.getPropertyValue(name).trim();
    const bars = kind === "bars";
    const axis = {
      font: `12px ${style.fontFamily}`,
      labelFont: `12px ${style.fontFamily}`,
      labelSize: 20,
      stroke: colour("--quiet"),
      ticks: { stroke: colour("--line"), width: 1 },
      grid: { stroke: colour("--line"), width: 1 },
    };
    const ends = bars ? [at[0] - 0.6, at[at.length - 1] + 0.6] : null;
    return {
      width: this.place.clientWidth || 300,
      height: HEIGHT,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { time: Boolean(x.time), ...(ends && { range: () => ends }) },
        y: bars ? { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1] } : {},
      },
      axes: [
        {
          ...axis,
          label: x.label,
          grid: { show: false },
          ...(!x.time && { incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000] }),
          values: (_, splits) => splits.map((value) => this.tick(value)),
        },
        { ...axis, label: y?.label, size: 64, values: (_, splits) => splits.map(number) },
      ],
      series: [
        {},
        ...series.map((one, index) => ({
          label: one.label,
          stroke: colour(`--series-${index + 1}`),
          width: 2,
          spanGaps: true,
          points: { show: !bars && at.length < 40, size: 6, fill: colour("--paper") },
          ...(bars ? this.bars(index, colour) : { dash: DASHES[index] }),
        })),
      ],
      hooks: { setCursor: [(plot) => this.point(plot.cursor.idx)] },
    };
  }

  /** Bars of two series stand side by side. */
  bars(index, colour) {
    const beside = this.content.series.length > 1;
    const paths = uPlot.paths.bars({ size: [beside ? 0.4 : 0.8, 60], align: beside ? (index ? 1 : -1) : 0 });
    return { width: 0, fill: colour(`--series-${index + 1}`), paths };
  }

  tick(value) {
    const { x } = this.content;
    if (x.names) return x.names[value] ?? "";
    if (x.time) return day.format(value * 1000);
    return Number.isInteger(value) ? number(value) : "";
  }

  /** How the x of a row is read. */
  name(index) {
    const { x } = this.content;
    if (x.names) return x.names[index];
    return x.time ? moment.format(x.values[index] * 1000) : number(x.values[index]);
  }

  /** The numbers under the pointer stand in the legend. */
  point(index) {
    const at = this.figure.querySelector(".legend .at");
    at.textContent = index == null ? "" : `${this.content.x.label} ${this.name(index)}`;
    this.figure.querySelectorAll(".legend .value").forEach((value, which) => {
      value.textContent = index == null ? "" : number(this.content.series[which].values[index]);
    });
  }

  fillLegend() {
    const items = this.content.series.map(({ label }, index) => {
      const value = Object.assign(document.createElement("span"), { className: "value" });
      const item = Object.assign(document.createElement("li"), { className: `series-${index + 1}` });
      item.append(label, " ", value);
      return item;
    });
    items.push(Object.assign(document.createElement("li"), { className: "at" }));
    this.figure.querySelector(".legend").replaceChildren(...items);
  }

  fillTable() {
    const { x, series } = this.content;
    const table = this.figure.querySelector("table");
    table.tHead.replaceChildren(row("col", [x.label, ...series.map((one) => one.label)]));
    const lines = x.values ?? x.names;
    table.tBodies[0].replaceChildren(
      ...lines.map((_, index) => row("row", [this.name(index), ...series.map((one) => number(one.values[index]))])),
    );
  }
}

/** A table's row; of a header's row every cell heads a column, of others the first heads the row. */
function row(scope, words) {
  const line = document.createElement("tr");
  words.forEach((text, index) => {
    const heads = scope === "col" || index === 0;
    const cell = Object.assign(document.createElement(heads ? "th" : "td"), { textContent: text });
    if (heads) cell.scope = scope;
    line.append(cell);
  });
  return line;
}
