// What the bot says under a picture: a joke with its buttons, a problem in words, or that it is thinking.

import { Refusal, vote } from "./api.js";
import { showCard } from "./card.js";
import { announce, copy, reveal, say, setJoke, tighten } from "./page.js";

/** The three dots; the caller removes them. */
export function addThinking(answers) {
  const thinking = copy("thinking-template");
  const again = answers.querySelector(".again");
  again?.setAttribute("aria-disabled", "true");
  answers.append(thinking);
  reveal(thinking);
  return thinking;
}

/** A joke. `more` is called for another one. */
export function addAnswer(answers, answer, more) {
  const element = copy("answer-template");
  setJoke(element.querySelector(".joke"), answer.boke);
  showSource(element.querySelector(".source"), answer.source_url);
  const again = element.querySelector(".again");
  again.addEventListener("click", () => {
    if (again.getAttribute("aria-disabled") !== "true") more();
  });
  const buttons = [...element.querySelectorAll(".vote")];
  for (const button of buttons) {
    button.addEventListener("click", () => castVote(answer.id, button, buttons, element.querySelector(".thanks")));
  }
  element.querySelector(".card").addEventListener("click", () => showCard(answer));
  if (!answer.id) {
    // It could not be kept, so nobody can refer to it.
    for (const button of element.querySelectorAll(".vote, .card")) button.remove();
  }
  stepBack(answers, again);
  answers.append(element);
  answers.closest(".post").classList.add("seen");
  tighten([...answers.querySelectorAll(".joke")]);
  reveal(element);
}

/** Where the joke stands, if it is somebody's. */
function showSource(line, url) {
  if (!url) return;
  const link = line.querySelector("a");
  link.href = url;
  link.textContent = url.replace(/^https?:\/\//, "");
  line.hidden = false;
}

/** Words about what went wrong. `retry` is called to try once more, where that may help. */
export function addProblem(answers, refusal, retry) {
  const element = copy("problem-template");
  element.querySelector(".problem").textContent = refusal.message;
  const button = element.querySelector(".retry");
  answers.querySelector(".again")?.removeAttribute("aria-disabled");
  if (refusal.again && retry) {
    button.addEventListener("click", () => {
      const composer = document.querySelector("#composer button");
      (answers.querySelector(".again") ?? composer).focus({ preventScroll: true });
      element.remove();
      retry();
    });
  } else {
    element.querySelector(".reactions").remove();
  }
  answers.append(element);
  reveal(element);
}

/** The jokes before the newest are smaller, and only the newest has "again"; the focus follows it. */
function stepBack(answers, next) {
  for (const problem of answers.querySelectorAll(".answer:has(.problem)")) problem.remove();
  const again = answers.querySelector(".again");
  if (!again) return;
  const hadFocus = again === document.activeElement;
  again.closest(".answer").classList.add("told");
  again.remove();
  if (hadFocus) queueMicrotask(() => next.focus({ preventScroll: true }));
}

async function castVote(id, button, buttons, thanks) {
  const before = buttons.map((each) => each.getAttribute("aria-pressed"));
  const value = button.getAttribute("aria-pressed") === "true" ? 0 : Number(button.dataset.value);
  for (const each of buttons) each.setAttribute("aria-pressed", String(Number(each.dataset.value) === value));
  try {
    const counts = await vote(id, value);
    for (const each of buttons) {
      const count = each.dataset.value === "1" ? counts.up : counts.down;
      each.querySelector(".count").textContent = count || "";
    }
    const words = say({ 1: "voted_up", "-1": "voted_down", 0: "vote_taken_back" }[value]);
    thanks.textContent = value ? words : "";
    announce(words);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    buttons.forEach((each, index) => each.setAttribute("aria-pressed", before[index]));
    thanks.textContent = error.message;
    announce(say("error", { text: error.message }));
  }
}
