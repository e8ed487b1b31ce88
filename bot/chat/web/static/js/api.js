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

/** A joke about a picture, found in the way called `mode`; `againOf` is the id of the answer before.
 * `consent`: the visitor wants it in the feed. */
export async function askForJoke(file, { mode, againOf, consent }) {
  if (file.size > page.max_bytes) throw new Refusal("too_large", say("too_large"), false);
  const form = new FormData();
  form.append("mode", mode);
  if (againOf) form.append("again_of", againOf);
  if (consent) form.append("consent", "true");
  form.append("image", file, file.name || "picture");
  return (await call("/api/boke", { method: "POST", body: form })).json();
}

/** The same picture in every mode; the answer itself comes first. */
export async function askForModes(id) {
  return (await call(`/api/boke/${id}/modes`, { method: "POST" })).json();
}

/** A page of the feed, from the answer of the id `before` on. */
export async function fetchFeed(limit, before) {
  const query = new URLSearchParams({ limit, ...(before && { before }) });
  return (await call(`/api/feed?${query}`)).json();
}

/** Take an answer out of the feed. */
export async function takeBack(id) {
  await call(`/api/feed/${id}`, { method: "DELETE" });
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
