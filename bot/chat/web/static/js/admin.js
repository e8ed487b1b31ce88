// The owner's token: asked for once in a tab, kept as long as it is open, sent with what changes something.

import { Refusal, call } from "./api.js";
import { announce, say } from "./page.js";

const KEY = "boke_admin_token";
const gate = document.getElementById("gate");
const open = document.getElementById("gate-open");
const wrong = document.getElementById("gate-wrong");

/** Call the API as the owner. A token that is not right any more closes what it had opened. */
export async function asOwner(address, options = {}) {
  try {
    const headers = { ...options.headers, Authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` };
    return await call(address, { ...options, headers });
  } catch (refusal) {
    if (refusal.code === "token_needed") show(false);
    throw refusal;
  }
}

/** Change something as the owner; gives what the API says. */
export async function change(address, content) {
  const options = { method: "POST" };
  if (content) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(content);
  }
  return (await asOwner(address, options)).json();
}

/** What changes something is there for the owner only. */
function show(isOwner) {
  for (const element of document.querySelectorAll("[data-owner]")) element.hidden = !isOwner;
  document.documentElement.classList.toggle("owner", isOwner);
  gate.hidden = isOwner;
  open.hidden = !isOwner;
  if (!isOwner) sessionStorage.removeItem(KEY);
}

async function enter(token) {
  sessionStorage.setItem(KEY, token);
  try {
    await asOwner("/api/admin");
    show(true);
    return "";
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.code === "token_needed") sessionStorage.removeItem(KEY);
    return error.message;
  }
}

if (gate) {
  gate.querySelector("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const field = event.target.elements.token;
    wrong.textContent = await enter(field.value.trim());
    if (wrong.textContent) {
      field.select();
      return;
    }
    field.value = "";
    announce(say("owner_in"));
    open.querySelector("button").focus();
  });
  open.querySelector("button").addEventListener("click", () => {
    show(false);
    gate.open = false;
    gate.querySelector("summary").focus();
  });
  const kept = sessionStorage.getItem(KEY);
  if (kept) enter(kept);
}
