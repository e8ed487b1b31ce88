import "./header.js";
import { change } from "./admin.js";
import { Refusal, call } from "./api.js";
import { watch } from "./live.js";
import { figure } from "./metrics.js";
import { announce, copy, say } from "./page.js";
import { RunArticle, badge, stageName, when } from "./run.js";

const MANY = 100;
const AT_FIRST = 8;
const element = (id) => document.getElementById(id);
const article = new RunArticle();
let runs = []; // newest first, without epochs
let shown = null; // { run, champion }
let newest = null; // with epochs
let state = null;
let everything = false;

// --- the run in progress ---

watch({
  state(told) {
    state = told;
    showNow();
  },
  async run(told) {
    if (!told) {
      newest = null;
      showNow();
      showList();
      return;
    }
    newest = told.epochs ? told : { ...told, epochs: newest.epochs };
    const known = runs.find(({ id }) => id === told.id);
    if (known) Object.assign(known, told);
    else await readList();
    showNow();
    showList();
    const wanted = asked() ?? newest.id;
    if (!shown || (!asked() && shown.run.id !== newest.id)) await look(wanted);
    else if (shown.run.id === newest.id) article.update((shown.run = newest));
  },
  epochs(told) {
    if (newest?.id !== told.run) return;
    newest.epochs = [...newest.epochs, ...told.epochs];
    showNow();
    if (shown?.run.id === newest.id) article.update((shown.run = { ...newest }));
  },
  lost() {
    element("doing-more").textContent = say("now_lost");
  },
});

function showNow() {
  const running = newest?.state === "running" && !newest.silent;
  const words = { id: newest?.id };
  let doing = say("now_idle");
  if (state?.stopping) doing = say("now_stopping");
  else if (running) doing = say("now_running", words);
  else if (state?.here) doing = say("now_starting");
  else if (newest?.silent) doing = say("now_silent", words);
  element("doing").textContent = doing;
  element("doing-more").textContent = running ? progress() : "";
  element("next-run").textContent = state?.next_run ? say("next_run", { when: when(state.next_run) }) : state ? say("no_next_run") : "";
  element("start").hidden = running || Boolean(state?.here);
  element("stop").hidden = !element("start").hidden || Boolean(state?.stopping);
}

function progress() {
  const parts = [];
  const stage = newest.stages.at(-1);
  if (stage) parts.push(stageName(stage));
  const last = newest.epochs.at(-1);
  if (stage?.name === "train" && last) parts.push(say("at_epoch", { n: last.epoch }));
  if (state && !state.here) parts.push(say("now_elsewhere"));
  return parts.join(" · ");
}

// --- all runs ---

async function readList() {
  runs = (await (await call(`/api/runs?epochs=false&limit=${MANY}`)).json()).runs;
}

function showList() {
  element("none").hidden = runs.length > 0;
  element("history").hidden = !runs.length;
  const listed = everything ? runs : runs.slice(0, AT_FIRST);
  element("more").hidden = listed.length === runs.length;
  element("runs").replaceChildren(...listed.map(entry));
}

function entry(run) {
  const line = copy("run-template");
  const link = line.querySelector("a");
  link.href = `?run=${run.id}`;
  if (run.id === shown?.run.id) link.setAttribute("aria-current", "true");
  line.querySelector(".number").textContent = `#${run.id}`;
  badge(line.querySelector(".badge"), run);
  const time = line.querySelector("time");
  time.dateTime = run.started;
  time.textContent = when(run.started);
  const bits = run.metrics.bits_per_char;
  line.querySelector(".figure").textContent = bits == null ? "" : `${figure("bits_per_char", bits)} bits`;
  link.addEventListener("click", (event) => {
    if (event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    choose(run.id, true);
  });
  return line;
}

/** The number of the run that the address names. */
function asked() {
  const id = Number(new URLSearchParams(location.search).get("run"));
  return Number.isInteger(id) && id > 0 ? id : null;
}

async function look(id) {
  element("run").setAttribute("aria-busy", "true");
  const found = await (await call(`/api/runs/${id}`)).json();
  shown = found;
  if (newest?.id === found.run.id) shown.run = newest;
  article.show(shown.run, shown.champion);
  showList();
}

async function choose(id, moved) {
  await guarded(async () => {
    await look(id);
    if (moved) element("run-title").focus();
  });
}

element("more").addEventListener("click", () => {
  everything = true;
  showList();
  element("runs").children[AT_FIRST]?.querySelector("a").focus();
});
addEventListener("popstate", () => {
  const id = asked() ?? newest?.id;
  if (id) choose(id, false);
});

// --- the owner ---

element("start").addEventListener("click", () =>
  guarded(async () => {
    await change("/api/retrain");
    announce(say("started"));
  }),
);
element("stop").addEventListener("click", () =>
  guarded(async () => {
    const { stopping } = await change("/api/retrain/stop");
    const words = say(stopping ? "stop_told" : "stop_nothing");
    announce(words);
    element("doing-more").textContent = words;
  }),
);

/** What goes wrong is said on the page. */
async function guarded(work) {
  element("refused").textContent = "";
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    element("refused").textContent = error.message;
  }
}
