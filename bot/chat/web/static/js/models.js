import "./header.js";
import { change } from "./admin.js";
import { Refusal, call } from "./api.js";
import { compareOn } from "./compare.js";
import { figure, fillFigures } from "./metrics.js";
import { announce, copy, page, say } from "./page.js";

const STARTER = "starter";
const element = (id) => document.getElementById(id);
const selects = [element("first"), element("second")];
const number = new Intl.NumberFormat(page.language);
const megabytes = new Intl.NumberFormat(page.language, { style: "unit", unit: "megabyte", maximumFractionDigits: 1 });
const moment = new Intl.DateTimeFormat(page.language, { dateStyle: "medium", timeStyle: "short" });
const languages = new Intl.DisplayNames(page.language, { type: "language" });
let models = [];
let pinned = false;

/** What a model is called. */
function nameOf({ name }) {
  if (name === STARTER) return say("starter");
  return name === "model.path" ? say("configured") : name;
}

async function read() {
  const told = await (await call("/api/models")).json();
  models = told.models;
  pinned = told.pinned;
  element("pinned").hidden = !pinned;
  element("only-starter").hidden = models.length > 1;
  element("bundles").replaceChildren(...models.map(card));
  element("bundles").setAttribute("aria-busy", "false");
  offer();
  showFigures();
}

// --- one model ---

function card(model) {
  const line = copy("bundle-template");
  line.querySelector(".name").textContent = nameOf(model);
  const badge = line.querySelector(".badge");
  badge.hidden = !model.live && !model.withdrawn;
  badge.textContent = model.live ? say("live") : say("withdrawn");
  badge.classList.toggle("good", model.live);
  line.classList.toggle("live", model.live);
  line.querySelector("dl").append(...facts(model).flatMap(([term, text]) => described(term, text)));
  const run = line.querySelector(".run");
  run.hidden = model.run == null;
  if (model.run != null) {
    run.href = `/training?run=${model.run}`;
    run.textContent = say("from_run", { id: model.run });
  }
  const owner = document.documentElement.classList.contains("owner");
  line.querySelector("[data-owner]").hidden = !owner;
  const use = line.querySelector(".use");
  use.hidden = model.live || pinned;
  use.setAttribute("aria-label", say("use_named", { name: nameOf(model) }));
  use.addEventListener("click", () => switchTo("/api/model/publish", { name: model.name }, use));
  const back = line.querySelector(".back");
  back.hidden = !model.live || pinned || model.name === STARTER;
  back.addEventListener("click", () => switchTo("/api/model/rollback", { live: model.name }, back));
  return line;
}

function facts(model) {
  const pictures = model.training_pictures ? say("pictures", { n: number.format(model.training_pictures) }) : null;
  const sizes = model.embed && model.hidden ? `${number.format(model.embed)} / ${number.format(model.hidden)}` : null;
  const known = [
    [say("bits_per_char"), model.metrics.bits_per_char == null ? null : figure("bits_per_char", model.metrics.bits_per_char)],
    [say("created"), model.created && moment.format(new Date(model.created))],
    [say("learned_from"), pictures],
    [say("language"), model.language && languages.of(model.language)],
    [say("recipe"), model.recipe],
    [say("encoder"), model.encoder],
    [say("vocabulary"), model.vocabulary && number.format(model.vocabulary)],
    [say("sizes"), sizes],
    [say("size"), megabytes.format(model.bytes / 1e6)],
    [say("quotes"), say(model.quotes ? "carried" : "not_carried")],
  ];
  return known.filter(([, text]) => text);
}

function described(term, text) {
  const name = Object.assign(document.createElement("dt"), { textContent: term });
  return [name, Object.assign(document.createElement("dd"), { textContent: text })];
}

async function switchTo(address, content, button) {
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  element("refused").textContent = "";
  try {
    const { live } = await change(address, content);
    await read();
    announce(say("used", { name: nameOf({ name: live }) }));
    element("bundles").querySelector(".live button:not([hidden])")?.focus();
  } catch (error) {
    button.removeAttribute("aria-disabled");
    if (!(error instanceof Refusal)) throw error;
    element("refused").textContent = error.message;
  }
}

// --- two of them ---

function offer() {
  const live = models.find((model) => model.live) ?? models[0];
  const other = models.find((model) => model !== live) ?? live;
  for (const [index, select] of selects.entries()) {
    const before = select.value;
    select.replaceChildren(...models.map((model) => new Option(nameOf(model), model.name)));
    const kept = models.some(({ name }) => name === before);
    select.value = kept ? before : [live, other][index].name;
  }
}

function chosen() {
  return selects.map((select) => models.find(({ name }) => name === select.value));
}

function showFigures() {
  const compared = chosen().map((model) => ({ label: nameOf(model), metrics: model.metrics }));
  const known = fillFigures(element("figures"), compared);
  element("known-figures").hidden = !known;
  element("no-figures").hidden = known;
}

for (const select of selects) select.addEventListener("change", showFigures);

element("pick").addEventListener("click", () => element("file").click());
element("file").addEventListener("change", async () => {
  const [file] = element("file").files;
  element("file").value = "";
  if (!file) return;
  const refused = element("compare-refused");
  refused.textContent = "";
  element("pick").setAttribute("aria-disabled", "true");
  announce(say("comparing"));
  try {
    await compareOn(file, chosen().map((model) => ({ name: model.name, label: nameOf(model) })));
    announce(say("compared"));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    refused.textContent = error.message;
  } finally {
    element("pick").removeAttribute("aria-disabled");
  }
});

read().catch((error) => {
  if (!(error instanceof Refusal)) throw error;
  element("refused").textContent = error.message;
});
