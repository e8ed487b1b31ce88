// The bot's HTTP API. Whatever goes wrong is a Refusal, with words for people.

import { page, say } from "./page.js";

export class Refusal extends Error {
  /** `again`: trying once more may help. */
  constructor(code, message, again) {
    super(message);
    this.code = code;
    this.again = again;
  }
}

/** A joke about a picture, found in the way called `mode`; `againOf` is the id of the answer before. */
export async function askForJoke(file, mode, againOf) {
  if (file.size > page.max_bytes) throw new Refusal("too_large", say("too_large"), false);
  const form = new FormData();
  form.append("mode", mode);
  if (againOf) form.append("again_of", againOf);
  form.append("image", file, file.name || "picture");
  return (await call("/api/boke", { method: "POST", body: form })).json();
}

/** 1, -1, or 0 to take it back; gives the counts after it. */
export async function vote(id, value) {
  const headers = { "Content-Type": "application/json" };
  return (await call(`/api/boke/${id}/vote`, { method: "POST", headers, body: JSON.stringify({ value }) })).json();
}

/** The card as a picture. */
export async function fetchCard(id) {
  return (await call(`/api/boke/${id}/card.png`)).blob();
}

/** A response that is all right. */
export async function call(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { ...options, headers: { "Accept-Language": page.language, ...options.headers } });
  } catch {
    throw new Refusal("offline", say("offline"), true);
  }
  if (response.ok) return response;
  const { error, message } = await response.json().catch(() => ({}));
  const again = response.status >= 500 || response.status === 429 || response.status === 408;
  throw new Refusal(error ?? "offline", message ?? say("offline"), again);
}
