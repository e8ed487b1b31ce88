// What the model said of the same few pictures after each pass: a slider through the passes, and all of them as a table.

import { announce, copy, say, setText } from "./page.js";

const STEP_MS = 700;

export class Samples {
  constructor(section) {
    this.section = section;
    this.slider = section.querySelector("#epoch");
    this.button = section.querySelector("#play");
    this.table = section.querySelector("table");
    this.timer = null;
    this.passes = [];
    this.seen = new IntersectionObserver((entries) => this.fetch(entries), { rootMargin: "200px" });
    this.slider.addEventListener("input", () => this.pause(this.draw()));
    this.button.addEventListener("click", () => (this.timer ? this.pause() : this.play()));
  }

  /** `epochs` of one run. Who looks at the last pass goes on to look at the last one. */
  show(epochs) {
    const told = epochs.filter(({ samples }) => samples.length);
    const digests = [...new Set(told.flatMap(({ samples }) => samples.map(({ picture }) => picture)))];
    const other = digests.join() !== this.digests?.join();
    const atEnd = other || Number(this.slider.value) >= Number(this.slider.max);
    this.passes = told;
    this.digests = digests;
    this.section.hidden = !told.length;
    if (!told.length) return;
    this.slider.max = told.length;
    if (atEnd) this.slider.value = told.length;
    if (other) this.pictures();
    this.pause();
    this.draw();
    this.fillTable();
  }

  pictures() {
    const lines = this.digests.map((digest, index) => {
      const line = copy("picture-template");
      const image = line.querySelector("img");
      image.alt = say("sample_alt", { n: index + 1 });
      image.addEventListener("error", () => image.replaceWith(missing(image.alt)), { once: true });
      image.dataset.src = `/api/corpus/${digest}`;
      return line;
    });
    this.section.querySelector("#pictures").replaceChildren(...lines);
    this.seen.disconnect();
    this.seen.observe(this.section);
  }

  /** Pictures are fetched when somebody scrolls to them: they weigh more than the rest of the page. */
  fetch(entries) {
    if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
    this.seen.disconnect();
    for (const image of this.section.querySelectorAll("img")) image.src = image.dataset.src;
  }

  draw() {
    const { epoch } = this.passes[this.slider.value - 1];
    const words = say("at_epoch", { n: epoch });
    this.section.querySelector("#at-epoch").textContent = words;
    this.slider.setAttribute("aria-valuetext", words);
    this.section.querySelectorAll(".said").forEach((place, index) => setText(place, this.said(epoch, index)));
  }

  said(epoch, index) {
    const { samples } = this.passes.find((one) => one.epoch === epoch);
    return samples.find(({ picture }) => picture === this.digests[index])?.text ?? "";
  }

  play() {
    if (Number(this.slider.value) >= this.passes.length) this.slider.value = 1;
    this.draw();
    this.timer = setInterval(() => this.step(), STEP_MS);
    this.button.textContent = say("pause");
  }

  step() {
    this.slider.value = Number(this.slider.value) + 1;
    this.draw();
    if (Number(this.slider.value) < this.passes.length) return;
    this.pause();
    announce(say("at_epoch", { n: this.passes.length }));
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.textContent = say("play");
  }

  fillTable() {
    const head = document.createElement("tr");
    const names = this.digests.map((_, index) => say("sample_alt", { n: index + 1 }));
    head.append(...[say("epoch"), ...names].map((text) => heading(text, "col")));
    this.table.tHead.replaceChildren(head);
    const lines = this.passes.map(({ epoch }) => {
      const line = document.createElement("tr");
      line.append(heading(epoch, "row"), ...this.digests.map((_, index) => setText(line.insertCell(), this.said(epoch, index))));
      return line;
    });
    this.table.tBodies[0].replaceChildren(...lines);
  }
}

function heading(text, scope) {
  return Object.assign(document.createElement("th"), { textContent: text, scope });
}

function missing(text) {
  return Object.assign(document.createElement("p"), { className: "gone", textContent: text });
}
