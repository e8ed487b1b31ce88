// What else the model thought of, with its scores.

import { page, setText } from "./page.js";

const score = new Intl.NumberFormat(page.language, { minimumFractionDigits: 2, maximumFractionDigits: 2 });

/** Fill the disclosure under a joke; one without others has none. */
export function showCandidates(details, answer) {
  const { candidates } = answer;
  if (candidates.length < 2) {
    details.remove();
    return;
  }
  const scores = candidates.map((candidate) => candidate.score);
  const best = Math.max(...scores);
  const worst = Math.min(...scores);
  const pattern = details.querySelector("tbody tr");
  const rows = candidates.map((candidate) => {
    const row = pattern.cloneNode(true);
    setText(row.querySelector(".text"), candidate.text);
    row.querySelector(".score").textContent = score.format(candidate.score);
    row.querySelector("meter").value = best > worst ? 0.06 + (0.94 * (candidate.score - worst)) / (best - worst) : 1;
    if (candidate.text === answer.boke) row.classList.add("chosen");
    else row.querySelector(".unseen")?.remove();
    return row;
  });
  pattern.parentElement.replaceChildren(...rows);
}
