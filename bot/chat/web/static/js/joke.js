// One joke at its permanent address: votes, its link, its card.

import "./header.js";
import { showCard } from "./card.js";
import { Refusal, takeBack } from "./api.js";
import { copyLink } from "./link.js";
import { announce, page, say, tighten } from "./page.js";
import { listenForVotes } from "./votes.js";

const place = document.getElementById("joke");
const { answer } = page;
const thanks = place.querySelector(".thanks");

listenForVotes(place, answer.id);
place.querySelector(".link").addEventListener("click", () => copyLink(answer.id, thanks));
place.querySelector("button.card")?.addEventListener("click", () => showCard(answer));
place.querySelector(".withdraw")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try {
    await takeBack(answer.id);
    button.remove();
    thanks.textContent = say("taken_back");
    announce(say("taken_back"));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    thanks.textContent = error.message;
    announce(say("error", { text: error.message }));
  }
});
tighten([place.querySelector(".joke")]);
