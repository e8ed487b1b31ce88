// What the bot says under a picture: a joke with its buttons, a problem in words, or that it is thinking.

import { showCandidates } from "./candidates.js";
import { showCard } from "./card.js";
import { copyLink } from "./link.js";
import { compareModes } from "./modes.js";
import { copy, reveal, setJoke, tighten } from "./page.js";
import { listenForVotes } from "./votes.js";
import { withdraw } from "./withdraw.js";

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
  showCandidates(element.querySelector(".candidates"), answer);
  const thanks = element.querySelector(".reactions .thanks");
  listenForVotes(element, answer.id);
  element.querySelector(".card").addEventListener("click", () => showCard(answer));
  element.querySelector(".link").addEventListener("click", () => copyLink(answer.id, thanks));
  const compare = element.querySelector(".compare");
  compare.addEventListener("click", () => compareModes(element, compare, answer.id));
  listenForWithdrawal(element.querySelector(".shown"), answer);
  if (!answer.id) {
    // It could not be kept, so nobody can refer to it.
    for (const button of element.querySelectorAll(".vote, .card, .link, .compare")) button.remove();
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

/** The joke is in the feed; one press takes it out again. */
function listenForWithdrawal(line, answer) {
  if (!answer.shown) return;
  line.hidden = false;
  const button = line.querySelector("button");
  const words = line.querySelector(".words");
  button.addEventListener("click", async () => {
    if (await withdraw(answer.id, words)) button.remove();
  });
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
