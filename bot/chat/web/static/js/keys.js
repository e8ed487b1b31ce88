// The keyboard on the feed. Letters can be switched off, for people whose software types them by itself.

const STORED = "boke_keys";
const toggle = document.getElementById("keys");

/** Start. `feed` has the articles; `more(article)` loads those that follow; `again(article)` and `search()` are asked for. */
export function listenToKeys(feed, { more, again, search }) {
  toggle.checked = localStorage.getItem(STORED) !== "off";
  toggle.addEventListener("change", () => localStorage.setItem(STORED, toggle.checked ? "on" : "off"));

  const current = () => document.activeElement?.closest("#feed article");

  async function move(step) {
    const articles = [...feed.querySelectorAll("article")];
    const index = current() ? articles.indexOf(current()) + step : seen(articles);
    if (index >= articles.length && !(await more())) return;
    focus([...feed.querySelectorAll("article")][Math.max(index, 0)]);
  }

  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");
    if (event.ctrlKey || event.altKey || event.metaKey || typing || event.isComposing) return;
    const letters = toggle.checked;
    const inFeed = Boolean(current());
    const actions = {
      ...(inFeed && { ArrowDown: () => move(1), ArrowUp: () => move(-1), PageDown: () => move(1), PageUp: () => move(-1) }),
      ...(letters && { j: () => move(1), k: () => move(-1), "/": search }),
      ...(letters && inFeed && { g: () => again(current()) }),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** Which article a visitor looks at who only scrolled: the first that ends below the header. */
function seen(articles) {
  const index = articles.findIndex((article) => article.getBoundingClientRect().bottom > 120);
  return index === -1 ? articles.length : index;
}

function focus(article) {
  if (!article) return;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" }); // at once: who holds the key down does not wait
}
