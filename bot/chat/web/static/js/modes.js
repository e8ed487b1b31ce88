// The same picture in every mode, side by side.

import { askForModes, Refusal } from "./api.js";
import { announce, copy, reveal, say, setText } from "./page.js";
import { listenForVotes } from "./votes.js";

/** Ask for the other modes once and show them under the answer. */
export async function compareModes(element, button, id) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  announce(say("thinking"));
  const thanks = element.querySelector(".reactions .thanks");
  try {
    const { answers } = await askForModes(id);
    const section = copy("modes-template");
    section.querySelector("ul").append(...answers.map(showMode));
    element.querySelector(".modes")?.remove();
    element.append(section);
    button.remove();
    const heading = section.querySelector("h3");
    heading.focus({ preventScroll: true });
    reveal(section);
    announce(say("compared", { n: answers.length }));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    button.removeAttribute("aria-disabled");
    thanks.textContent = error.message;
    announce(say("error", { text: error.message }));
  }
}

function showMode(answer) {
  const item = copy("mode-template");
  item.querySelector("h4").textContent = document.querySelector(`#mode option[value="${answer.mode}"]`)?.textContent ?? answer.mode;
  setText(item.querySelector(".text"), answer.boke);
  if (answer.source_url) {
    const link = item.querySelector(".source a");
    link.href = answer.source_url;
    link.textContent = answer.source_url.replace(/^https?:\/\//, "");
    item.querySelector(".source").hidden = false;
  }
  if (answer.id) listenForVotes(item, answer.id);
  else item.querySelector(".reactions").remove();
  return item;
}
