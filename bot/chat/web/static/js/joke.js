// One joke at its permanent address: votes, its link, its card.

import "./header.js";
import { showCard } from "./card.js";
import { copyLink } from "./link.js";
import { page, tighten } from "./page.js";
import { listenForVotes } from "./votes.js";
import { withdraw } from "./withdraw.js";

const place = document.getElementById("joke");
const { answer } = page;
const thanks = place.querySelector(".thanks");

listenForVotes(place, answer.id);
place.querySelector(".link").addEventListener("click", () => copyLink(answer.id, thanks));
place.querySelector("button.card")?.addEventListener("click", () => showCard(answer));
place.querySelector(".withdraw")?.addEventListener("click", async (event) => {
  const button = event.currentTarget;
  if (await withdraw(answer.id, thanks)) button.remove();
});
tighten([place.querySelector(".joke")]);
