// One training run: how it ended, its stages, curves and figures, the champion's beside its own.

import { Chart, number } from "./chart.js";
import { fillFigures } from "./metrics.js";
import { page, say } from "./page.js";
import { Samples } from "./samples.js";

const STAGES = {
  crawl: "stage_crawl",
  import: "stage_import",
  corpus: "stage_corpus",
  features: "stage_features",
  train: "stage_train",
  extras: "stage_extras",
  evaluate: "stage_evaluate",
  publish: "stage_publish",
};
const STAGE_STATES = {
  running: "stage_running",
  skipped: "stage_skipped",
  failed: "stage_failed",
  stopped: "stage_stopped",
};
const STATES = {
  running: "state_running",
  published: "state_published",
  kept: "state_kept",
  failed: "state_failed",
  stopped: "state_stopped",
};
const VERDICTS = {
  running: "said_running",
  published: "said_published",
  failed: "said_failed",
  stopped: "said_stopped",
  not_better: "said_not_better",
  nothing_new: "said_nothing_new",
  too_few: "said_too_few",
};
const TRIGGERS = { hand: "by_hand", schedule: "by_schedule", page: "by_page" };
const moment = new Intl.DateTimeFormat(page.language, { dateStyle: "medium", timeStyle: "short" });
const element = (id) => document.getElementById(id);

/** When something was or will be, as people read it. */
export function when(text) {
  return moment.format(new Date(text));
}

/** Fills a badge with how a run ended. */
export function badge(place, run) {
  place.textContent = STATES[run.state] ? say(STATES[run.state]) : run.state;
  place.classList.toggle("good", run.state === "published");
}

/** A stage's name. */
export function stageName(stage) {
  return STAGES[stage.name] ? say(STAGES[stage.name]) : stage.name;
}

/** The article about the run that is looked at. */
export class RunArticle {
  constructor() {
    this.samples = new Samples(element("samples"));
    this.chart = null;
  }

  /** `champion` is the run that trained the model it had to beat, or null. */
  show(run, champion) {
    this.run = run;
    this.champion = champion;
    element("run-title").textContent = say("run_title", { id: run.id });
    this.verdict();
    this.stages();
    this.curves();
    this.figures();
    this.samples.show(run.epochs);
    element("run").setAttribute("aria-busy", "false");
  }

  /** The same run, further on. */
  update(run) {
    const passes = this.run.epochs.length;
    this.run = run;
    this.verdict();
    this.stages();
    this.figures();
    if (run.epochs.length !== passes) {
      this.curves();
      this.samples.show(run.epochs);
    }
  }

  verdict() {
    const { run } = this;
    const reason = run.stages.findLast((stage) => stage.reason)?.reason;
    const words = VERDICTS[run.state === "kept" ? reason : run.state];
    const parts = [when(run.started), TRIGGERS[run.trigger] && say(TRIGGERS[run.trigger]), run.recipe];
    element("verdict").replaceChildren(
      ...(words ? [say(words)] : []),
      Object.assign(document.createElement("small"), { textContent: parts.filter(Boolean).join(" · ") }),
    );
    const record = element("run-record");
    record.hidden = !run.message || run.state === "published";
    record.textContent = run.message ?? "";
  }

  stages() {
    const lines = this.run.stages.map((stage) => {
      const line = Object.assign(document.createElement("li"), { className: stage.state });
      const name = Object.assign(document.createElement("span"), { textContent: stageName(stage) });
      line.append(name, Object.assign(document.createElement("small"), { textContent: facts(stage) }));
      return line;
    });
    element("stages").replaceChildren(...lines);
  }

  curves() {
    const mine = decoderEpochs(this.run);
    const others = decoderEpochs(this.champion);
    element("no-curves").hidden = mine.length > 0;
    element("curves-place").hidden = !mine.length;
    if (!mine.length) return;
    const last = Math.max(...[...mine, ...others].map(({ epoch }) => epoch));
    const passes = Array.from({ length: last }, (_, index) => index + 1);
    const values = (epochs, key) => {
      const known = new Map(epochs.map((one) => [one.epoch, one[key]]));
      return passes.map((pass) => known.get(pass) ?? null);
    };
    const series = [
      { label: say("series_train"), values: values(mine, "train_loss") },
      { label: say("series_dev"), values: values(mine, "dev_loss") },
    ];
    if (others.length) {
      series.push({ label: say("series_champion_train"), values: values(others, "train_loss") });
      series.push({ label: say("series_champion_dev"), values: values(others, "dev_loss") });
    }
    const content = { kind: "lines", x: { label: say("epoch"), values: passes }, y: { label: say("loss") }, series };
    if (this.chart) this.chart.show(content);
    else this.chart = new Chart(element("curves"), content);
  }

  figures() {
    const { run } = this;
    const models = [{ label: say("challenger"), metrics: run.metrics }];
    if (Object.keys(run.champion_metrics).length) models.push({ label: say("champion"), metrics: run.champion_metrics });
    element("compared").hidden = !fillFigures(element("figures"), models);
  }
}

function decoderEpochs(run) {
  return (run?.epochs ?? []).filter(({ part }) => part === "decoder");
}

function facts(stage) {
  const parts = [];
  if (STAGE_STATES[stage.state]) parts.push(say(STAGE_STATES[stage.state]));
  if (stage.name === "corpus" && stage.jokes != null) {
    parts.push(say("jokes_pictures", { jokes: number(stage.jokes), pictures: number(stage.pictures) }));
  }
  if (stage.state !== "running" && stage.state !== "skipped") parts.push(duration(stage.seconds));
  return parts.join(" · ");
}

function duration(seconds) {
  return seconds < 100
    ? say("seconds", { n: number(Math.round(seconds)) })
    : say("minutes", { n: number(Math.round(seconds / 60)) });
}
