// What visitors let others see: the newest jokes with their pictures. Whoever posted one may take it back.

import { fetchFeed, Refusal } from "./api.js";
import { copy, page, setText } from "./page.js";
import { withdraw } from "./withdraw.js";

const AT_ONCE = 12;
const day = new Intl.DateTimeFormat(page.language, { month: "short", day: "numeric" });

/** Fill the section; it stays away while there is nothing to see. */
export async function showFeed(section) {
  const list = section.querySelector("ul");
  const more = section.querySelector(".more");
  let next = null;

  async function read() {
    let found;
    try {
      found = await fetchFeed(AT_ONCE, next);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      section.querySelector(".thanks").textContent = error.message;
      return null;
    }
    const items = found.items.map((item) => showItem(item, section));
    list.append(...items);
    next = found.next;
    more.hidden = !next;
    section.hidden = !list.children.length;
    return items[0];
  }

  more.addEventListener("click", async () => (await read())?.querySelector("a").focus());
  await read();
}

function showItem(item, section) {
  const element = copy("feed-template");
  const link = element.querySelector("a");
  link.href = `/boke/${item.id}`;
  const image = element.querySelector("img");
  image.src = item.picture;
  image.addEventListener("error", () => image.remove()); // taken back meanwhile
  setText(element.querySelector(".text"), item.boke);
  element.querySelector("time").dateTime = item.created;
  element.querySelector("time").textContent = day.format(new Date(item.created));
  const liked = element.querySelector(".liked");
  if (item.up) liked.querySelector(".count").textContent = item.up;
  else liked.remove();
  const button = element.querySelector("button");
  if (item.mine) button.addEventListener("click", () => removeItem(item.id, element, section));
  else button.remove();
  return element;
}

async function removeItem(id, element, section) {
  const thanks = section.querySelector(".thanks");
  if (!(await withdraw(id, thanks))) return;
  const neighbour = element.nextElementSibling ?? element.previousElementSibling;
  element.remove();
  (neighbour?.querySelector("a") ?? document.querySelector("#hero button"))?.focus();
  section.hidden = !section.querySelector("li");
}
