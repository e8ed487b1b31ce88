// The channel: each picture is a post, the bot's answers stand under it.

import { addAnswer, addProblem, addThinking } from "./answer.js";
import { askForJoke, Refusal } from "./api.js";
import { announce, copy, page, reveal, say } from "./page.js";

const AT_ONCE = 3; // of several dropped together; the bot answers them in one go
const KEPT = 60; // posts on the page; older ones go, and their pictures' memory with them

export class Channel {
  constructor(list) {
    this.list = list;
    this.count = 0;
    this.running = 0;
    this.waiting = [];
    this.options = document.getElementById("options");
  }

  /** Show the files as posts and have each answered. */
  post(files) {
    this.open();
    if (!files.length) {
      const answers = this.addPost(null);
      addProblem(answers, new Refusal("no_picture", say("no_picture"), false));
      announce(say("error", { text: say("no_picture") }));
      return;
    }
    const posts = files.map((file) => ({ file, answers: this.addPost(file) }));
    reveal(posts[0].answers.closest(".post"), "start");
    for (const { file, answers } of posts) this.ask(file, answers, null);
  }

  /** One answer, as soon as fewer than AT_ONCE are under way. Resolves when it stands there, or the words why not. */
  async ask(file, answers, before) {
    const thinking = addThinking(answers);
    announce(say("thinking"));
    await this.turn();
    try {
      const answer = await askForJoke(file, { ...this.chosen(), againOf: before?.id });
      thinking.remove();
      addAnswer(answers, answer, () => this.ask(file, answers, answer));
      announce(say("answered", { text: answer.boke }));
    } catch (error) {
      thinking.remove();
      if (!(error instanceof Refusal)) throw error;
      addProblem(answers, error, () => this.ask(file, answers, before));
      announce(say("error", { text: error.message }));
    } finally {
      this.running -= 1;
      this.waiting.shift()?.();
    }
  }

  /** How pictures are answered, and whether others may see it. */
  chosen() {
    const consent = this.options.querySelector("[name=consent]");
    return { mode: this.options.querySelector("[name=mode]").value, consent: Boolean(consent?.checked) };
  }

  async turn() {
    if (this.running >= AT_ONCE) await new Promise((go) => this.waiting.push(go));
    this.running += 1;
  }

  /** From the empty channel to the one with posts. */
  open() {
    const hero = document.getElementById("hero");
    if (!hero) return;
    const composer = document.getElementById("composer");
    composer.hidden = document.getElementById("heading").hidden = false;
    const hadFocus = hero.contains(document.activeElement);
    composer.prepend(this.options); // what was chosen stays chosen
    hero.remove();
    document.getElementById("feed")?.remove();
    if (hadFocus) composer.querySelector("button").focus({ preventScroll: true });
  }

  addPost(file) {
    this.count += 1;
    const post = copy("post-template");
    post.querySelector("h2").textContent = say("post_heading", { n: this.count });
    const now = new Date();
    const time = post.querySelector("time");
    time.dateTime = now.toISOString();
    time.textContent = now.toLocaleTimeString(page.language, { hour: "numeric", minute: "2-digit" });
    if (file) showPhoto(post.querySelector(".photo"), file);
    else post.querySelector(".photo").remove();
    this.list.append(post);
    while (this.list.children.length > KEPT) this.drop(this.list.firstElementChild);
    return post.querySelector(".answers");
  }

  drop(post) {
    const image = post.querySelector(".photo img");
    if (image) URL.revokeObjectURL(image.src);
    post.remove();
  }
}

function showPhoto(figure, file) {
  const image = figure.querySelector("img");
  const name = file.name || "";
  image.alt = say("photo_alt", { name });
  image.addEventListener("error", () => {
    // Not every browser shows what the bot can read, HEIC above all.
    URL.revokeObjectURL(image.src);
    image.remove();
    figure.querySelector(".name").textContent = name;
    figure.querySelector("figcaption").hidden = false;
  });
  image.src = URL.createObjectURL(file);
}
