// The answer along the video: segments, the score of each window, and where the player is.

import { byId, clock, element, percent } from "./text.js";

const COLOURS = 8;
const SVG = "http://www.w3.org/2000/svg";
const NONE = "none of these";

/** The number of the colour of each label, those with the most time in the video first. */
export function colours({ segments, windows }) {
  const seconds = new Map();
  const count = (label, time) => seconds.set(label, (seconds.get(label) ?? 0) + time);
  for (const part of segments) count(part.label, part.end_seconds - part.start_seconds);
  for (const window of windows) if (window.label !== null) count(window.label, 0);
  const labels = [...seconds].sort((one, other) => other[1] - one[1]).map(([label]) => label);
  return new Map(labels.map((label, index) => [label, index % COLOURS]));
}

/** Shows one timeline at a time. `onSeek(seconds)` is called when a person chooses a moment. */
export class TimelineView {
  #root = byId("timeline");
  #seek = byId("seek");
  #list = byId("segments");
  #now = byId("now");
  #windows = [];
  #segments = [];
  #step = 1;
  #end = 0;
  #seconds = 0;

  constructor({ onSeek }) {
    const choose = (seconds) => {
      this.at(seconds);
      onSeek(this.#seconds);
    };
    this.#seek.addEventListener("input", () => choose(Number(this.#seek.value)));
    this.#seek.addEventListener("keydown", (event) => {
      // A step of the keyboard is a window; the browser's own would be a hundredth of the video.
      const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 }[event.key];
      if (!steps || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      choose(this.#seconds + steps * this.#step);
    });
    this.#list.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(Number(button.value));
    });
    const track = this.#seek.parentElement;
    track.addEventListener("pointermove", (event) => {
      const { left, width } = track.getBoundingClientRect();
      this.#tell(Math.min(Math.max((event.clientX - left) / width, 0), 1) * this.#end);
    });
    track.addEventListener("pointerleave", () => this.#tell(this.#seconds));
  }

  hide() {
    this.#root.hidden = byId("parts").hidden = true;
  }

  /** Show a timeline over `seconds` of video; `threshold` is the score of "none of these". */
  show({ segments, windows, stride_seconds: stride }, { seconds, threshold, colour }) {
    this.#end = Math.max(seconds, 0.001); // a single picture may last no time
    this.#step = stride;
    this.#seek.max = seconds;
    this.#segments = segments;
    this.#windows = windows.map((window, index) => ({
      ...window,
      from: index === 0 ? 0 : middle(windows[index - 1], window),
      to: index === windows.length - 1 ? seconds : middle(window, windows[index + 1]),
    }));
    this.#drawSegments(colour);
    this.#drawWindows(colour, threshold);
    this.#drawTicks();
    this.#listSegments(colour);
    byId("legend").textContent = legend(windows, threshold);
    this.#root.hidden = byId("parts").hidden = false;
    this.at(0);
  }

  /** Say that the video is at `seconds`. */
  at(seconds) {
    this.#seconds = Math.min(Math.max(seconds, 0), this.#end);
    this.#root.style.setProperty("--at", this.#seconds / this.#end);
    this.#seek.value = this.#seconds;
    this.#tell(this.#seconds);
    const [name, score] = this.#named(this.#seconds);
    const spoken = `${clock(this.#seconds, this.#end)}: ${name}, ${score}`;
    if (this.#seek.getAttribute("aria-valuetext") !== spoken)
      this.#seek.setAttribute("aria-valuetext", spoken);
    [...this.#list.querySelectorAll("button")].forEach((button, index) => {
      if (within(this.#seconds, this.#segments[index])) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
  }

  #tell(seconds) {
    const [time, name, score] = this.#now.children;
    time.textContent = clock(seconds, this.#end);
    [name.textContent, score.textContent] = this.#named(seconds);
  }

  /** What is done at a moment, and the score there; a segment goes over its weaker windows. */
  #named(seconds) {
    const window = this.#windows.find(({ to }) => seconds < to) ?? this.#windows.at(-1);
    const around = this.#segments.find((segment) => within(seconds, segment));
    const name = around?.label ?? window.label ?? NONE;
    const own = window.label === null || window.label === name ? "" : `${window.label} `;
    return [name, own + percent(window.score)];
  }

  #drawSegments(colour) {
    const blocks = this.#segments.map(({ label, start_seconds: start, end_seconds: end }) => {
      const text = element("span", {}, label);
      const block = element("div", { class: `block colour-${colour.get(label)}` }, text);
      block.style.left = `${(start / this.#end) * 100}%`;
      block.style.width = `${((end - start) / this.#end) * 100}%`;
      return block;
    });
    this.#root.querySelector(".segments").replaceChildren(...blocks);
  }

  #drawWindows(colour, threshold) {
    const bars = this.#windows.map(({ label, score, from, to }) => {
      const name = label === null ? "none" : `colour-${colour.get(label)}`;
      return shape("rect", { class: name, x: from, width: to - from, y: 1 - score, height: score });
    });
    const svg = this.#root.querySelector(".windows");
    svg.setAttribute("viewBox", `0 0 ${this.#end} 1`);
    svg.classList.toggle("many", bars.length > 150);
    if (threshold) {
      const y = 1 - threshold;
      bars.push(shape("line", { class: "threshold", x1: 0, x2: this.#end, y1: y, y2: y }));
    }
    svg.replaceChildren(...bars);
  }

  #drawTicks() {
    const steps = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];
    const step = steps.find((candidate) => this.#end / candidate <= 6) ?? 7200;
    const ticks = [];
    for (let seconds = 0; seconds <= this.#end; seconds += step) {
      const text = clock(seconds, this.#end);
      const edge = seconds === 0 ? "from" : seconds > this.#end * 0.96 ? "to" : "";
      const tick = element("span", { class: edge }, step < 1 ? text : text.replace(/\.0$/, ""));
      tick.style.left = `${(seconds / this.#end) * 100}%`;
      ticks.push(tick);
    }
    this.#root.querySelector(".ticks").replaceChildren(...ticks);
  }

  #listSegments(colour) {
    const rows = this.#segments.map(({ label, start_seconds: start, end_seconds: end, score }) => {
      const span = `${clock(start, this.#end)} – ${clock(end, this.#end)}`;
      const button = element(
        "button",
        { type: "button", value: start },
        element("span", { class: `swatch colour-${colour.get(label)}`, "aria-hidden": "true" }),
        element("span", { class: "name" }, label),
        " ",
        element("span", { class: "span" }, span),
        " ",
        element("span", { class: "score" }, percent(score)),
      );
      return element("li", {}, button);
    });
    if (rows.length === 0) {
      rows.push(element("li", { class: "quiet" }, "Nowhere is the model sure enough to name one."));
    }
    this.#list.replaceChildren(...rows);
  }
}

function legend(windows, threshold) {
  const length = (windows[0].end_seconds - windows[0].start_seconds).toFixed(1);
  const bars = `Each bar is the score of ${length} s of video`;
  if (!threshold) return `${bars}.`;
  return `${bars}; under the line, ${percent(threshold)}, it is ${NONE} by itself.`;
}

function within(seconds, { start_seconds: start, end_seconds: end }) {
  return seconds >= start && seconds < end;
}

/** Half way between the middles of two neighbouring windows. */
function middle(one, next) {
  return (one.start_seconds + one.end_seconds + next.start_seconds + next.end_seconds) / 4;
}

function shape(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
