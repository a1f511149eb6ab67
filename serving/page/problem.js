// Why there is no answer, what to do about it, and trying again by itself.

import { byId } from "./text.js";

const MOST_TRIES = 5;
const ADVICE = {
  "unreadable-video": "The file may be damaged or cut off. If it plays elsewhere, save it again, for example as MP4.",
  "decoder-crashed": "The file may be damaged. If it plays elsewhere, save it again, for example as MP4.",
  "decoder-failed": "The reason is in the server's log. If the video plays elsewhere, save it again, for example as MP4.",
  unreachable: "Check that the server runs and that you are connected, then try again.",
  "internal-error": "The reason is in the server's log. Trying again may help.",
};
const PASSING = new Set([429, 503]);

/** Shows one problem at a time; tries again after the server's own time when it is only busy. */
export class ProblemView {
  #tries = 0;
  #timer = null;
  #retry = () => {};

  constructor({ onKey }) {
    byId("retry").addEventListener("click", () => this.#again());
    byId("wait-no-more").addEventListener("click", () => {
      this.#stop();
      byId("retry").focus();
    });
    byId("another").addEventListener("click", () => byId("file").click());
    byId("key").addEventListener("submit", (event) => {
      event.preventDefault();
      const secret = byId("secret");
      onKey(secret.value.trim());
      secret.value = "";
    });
  }

  /** Take the problem away. A video that was chosen anew starts counting its tries anew. */
  hide({ forget = false } = {}) {
    this.#stop();
    if (forget) this.#tries = 0;
    byId("problem").hidden = true;
  }

  show(refusal, { retry, refusedKey }) {
    this.#stop();
    this.#retry = retry;
    const { code, status, title, detail, retryAfterSeconds, requestId } = refusal;
    const wantsKey = status === 401;
    const passing = PASSING.has(status);
    byId("problem").hidden = false;
    byId("problem").classList.toggle("calm", wantsKey || passing);
    byId("title").textContent = wantsKey ? "This server asks for an API key" : title;
    byId("detail").textContent = wantsKey ? keyDetail(refusedKey) : sentence(detail);
    byId("advice").textContent = ADVICE[code] ?? "";
    byId("request").textContent = requestId ? `Request ${requestId}` : "";
    byId("key").hidden = !wantsKey;
    byId("again").hidden = wantsKey;
    // The same video would be refused again, unless the trouble is the server's.
    const hopeless = status >= 400 && status < 500 && !passing;
    byId("retry").hidden = hopeless;
    byId("another").hidden = !hopeless;
    if (passing && this.#tries < MOST_TRIES) this.#countDown(retryAfterSeconds ?? 1);
    byId(wantsKey ? "secret" : hopeless ? "another" : "retry").focus();
  }

  #countDown(seconds) {
    const end = performance.now() + seconds * 1000;
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 1000);
      if (left <= 0) return this.#again();
      byId("countdown").textContent = `Trying again in ${left} s.`;
    };
    byId("countdown").hidden = byId("wait-no-more").hidden = false;
    byId("retry").textContent = "Try now";
    this.#timer = setInterval(tick, 250);
    tick();
  }

  #again() {
    this.#stop();
    this.#tries += 1;
    this.#retry();
  }

  #stop() {
    clearInterval(this.#timer);
    byId("countdown").hidden = byId("wait-no-more").hidden = true;
    byId("retry").textContent = "Try again";
  }
}

function keyDetail(refused) {
  if (refused) return "The key was not accepted. Check it, or ask whoever runs the server for one.";
  return "Whoever runs the server gives them out.";
}

function sentence(text) {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?)]$/.test(capital) ? capital : `${capital}.`;
}
