// The card in a dialog: look at it, save it, share it.

import { fetchCard, Refusal } from "./api.js";
import { say } from "./page.js";

const dialog = document.getElementById("card");
const image = dialog.querySelector("img");
const words = dialog.querySelector(".card-words");
const save = dialog.querySelector(".save");
const share = dialog.querySelector(".share");
let shown = ""; // the answer whose card was asked for last

dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // beside it
});
dialog.addEventListener("close", () => {
  shown = "";
  if (save.href) URL.revokeObjectURL(save.href);
  save.removeAttribute("href");
  image.removeAttribute("src");
});

/** Open the dialog and fill it when the card is there. */
export async function showCard(answer) {
  shown = answer.id;
  image.hidden = save.hidden = share.hidden = true;
  words.textContent = say("card_drawing");
  dialog.showModal();
  try {
    const blob = await fetchCard(answer.id);
    if (shown === answer.id) fill(answer, blob);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (shown === answer.id) words.textContent = error.message;
  }
}

function fill(answer, blob) {
  const file = new File([blob], `boke-${answer.id.slice(0, 8)}.png`, { type: "image/png" });
  words.textContent = "";
  image.src = save.href = URL.createObjectURL(blob);
  image.alt = say("card_alt", { text: answer.boke });
  save.download = file.name;
  image.hidden = save.hidden = false;
  share.hidden = !navigator.canShare?.({ files: [file] });
  share.onclick = () => navigator.share({ files: [file], text: answer.boke }).catch(() => {});
}
