// The two thumbs under a joke. What is said about a vote stands beside them.

import { Refusal, vote } from "./api.js";
import { announce, say } from "./page.js";

/** The buttons in `place` vote for the answer of that id. */
export function listenForVotes(place, id) {
  const buttons = [...place.querySelectorAll(".vote")];
  for (const button of buttons) {
    button.addEventListener("click", () => castVote(id, button, buttons, place.querySelector(".thanks")));
  }
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
