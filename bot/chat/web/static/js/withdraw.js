// A visitor takes a joke out of the feed again.

import { Refusal, takeBack } from "./api.js";
import { announce, say } from "./page.js";

/** Take an answer back and say in `place` how that went; true where it is gone. */
export async function withdraw(id, place) {
  try {
    await takeBack(id);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    place.textContent = error.message;
    announce(say("error", { text: error.message }));
    return false;
  }
  place.textContent = say("taken_back");
  announce(say("taken_back"));
  return true;
}
