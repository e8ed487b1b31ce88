// The header: the switch between light and dark, the link to the other language, and the tabs where they do not fit.

const button = document.getElementById("theme");
const language = document.getElementById("language");
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme === "auto" ? system.matches : root.dataset.theme === "dark";
}

function show() {
  button.setAttribute("aria-pressed", String(isDark()));
}

// The choice is a cookie, so that the server's first byte has the right colours.
button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `boke_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
  show();
});
system.addEventListener("change", show);
show();

// The same page in the other language: what a view keeps in its address stays.
language.addEventListener("click", () => {
  const there = new URL(location.href);
  there.searchParams.set("lang", language.lang);
  language.href = there.href;
});

const tabs = document.querySelector(".views");
const here = tabs?.querySelector("[aria-current]");
if (here) tabs.scrollLeft = here.offsetLeft - (tabs.clientWidth - here.offsetWidth) / 2;
