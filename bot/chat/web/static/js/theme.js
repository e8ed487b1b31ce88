// The switch between light and dark. The choice is a cookie, so that the server's first byte has the right colours.

const button = document.getElementById("theme");
const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  return root.dataset.theme === "auto" ? system.matches : root.dataset.theme === "dark";
}

function show() {
  button.setAttribute("aria-pressed", String(isDark()));
}

button.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  document.cookie = `boke_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax`;
  show();
});
system.addEventListener("change", show);
show();
