// The permanent link of a joke, to be handed on.

import { announce, page, say } from "./page.js";

/** Where the joke stands for good. */
export function linkTo(id) {
  return `${page.origin}/boke/${id}`;
}

/** Put the link where it can be pasted from; where the browser does not allow that, show it in `place`. */
export async function copyLink(id, place) {
  const link = linkTo(id);
  try {
    await navigator.clipboard.writeText(link);
    place.textContent = say("link_copied");
    announce(say("link_copied"));
  } catch {
    const shown = Object.assign(document.createElement("a"), { href: link, textContent: link });
    place.replaceChildren(shown);
    shown.focus();
  }
}
