// The answer in words and bars: the verdict, the best classes, the times, what was read.

import { byId, clock, duration, element, percent } from "./text.js";

const STAGES = [
  ["receive", "Receiving"],
  ["queue", "Waiting for a decoder"],
  ["decode", "Decoding"],
  ["batch", "Waiting for the model"],
  ["infer", "Model"],
  ["post", "Putting together"],
];

/** Show an answer. `colour` numbers the labels that the timeline shows; `plain` says why none. */
export function showAnswer({ answer, uploadMs, requestId, threshold, colour, plain }) {
  byId("verdict").textContent = answer.label ?? "None of these";
  byId("why").textContent = [explain(answer, threshold), plain].filter(Boolean).join(" ");
  byId("top").replaceChildren(...answer.top.map((entry) => bar(entry, colour)));
  if (threshold) mark(threshold);
  byId("threshold").textContent =
    threshold && answer.label !== null ? `Under the mark, ${percent(threshold)}, it would be none of these.` : "";
  showTimes(answer.timings_ms, uploadMs);
  showVideo(answer, requestId);
}

function explain({ label, top, timeline }, threshold) {
  const best = top[0];
  if (label !== null) return `${percent(best.score)} sure`;
  const enough = threshold ? `; a name is given from ${percent(threshold)} on` : "";
  return (
    `The closest is ${best.label} with ${percent(best.score)}${enough}. ` +
    (timeline?.segments.length
      ? "Only some parts look like one of its actions."
      : "The video probably shows something that this model was not taught.")
  );
}

function bar({ label, score }, colour) {
  const fill = element("span", { class: `fill colour-${colour.get(label) ?? "none"}` });
  fill.style.width = `${score * 100}%`;
  const rail = element("span", { class: "rail", "aria-hidden": "true" }, fill);
  const name = element("span", { class: "name" }, label);
  return element("li", {}, name, " ", element("span", { class: "score" }, percent(score)), rail);
}

/** Where the best class would have to reach. */
function mark(threshold) {
  const made = element("span", { class: "mark" });
  made.style.left = `${threshold * 100}%`;
  byId("top").querySelector(".rail").append(made);
}

function showTimes(timings, uploadMs) {
  const rows = STAGES.map(([name, title]) => [title, timings[name]]);
  const longest = Math.max(...rows.map(([, ms]) => ms));
  const body = rows.map(([title, ms]) => {
    const fill = element("span", { class: "fill" });
    fill.style.width = `${(ms / longest) * 100}%`;
    return row(title, ms, element("span", { class: "rail" }, fill));
  });
  const total = row("Server in total", timings.total, "");
  total.className = "total";
  body.push(total);
  if (uploadMs !== null) body.push(row("Upload, seen from here", uploadMs, ""));
  byId("times").tBodies[0].replaceChildren(...body);
}

function row(title, ms, rail) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, title),
    element("td", { "aria-hidden": "true" }, rail),
    element("td", {}, duration(ms)),
  );
}

function length(seconds) {
  return seconds < 60 ? `${seconds.toFixed(1)} s` : clock(seconds, seconds);
}

function showVideo(answer, requestId) {
  const { container, codec, width, height, frame_rate: rate, duration_seconds, notes } = answer.video;
  const fps = rate === null ? [] : [`${Number(rate.toFixed(2))} frames a second`];
  const facts = [`${codec} in ${container}`, `${width} × ${height}`, ...fps, length(duration_seconds)];
  byId("read").textContent = facts.map((fact) => fact.replaceAll(" ", "\u00a0")).join(" · ");
  byId("notes").replaceChildren(...notes.map((note) => element("li", {}, note)));
  const by = `Answered by ${answer.model.name}, version ${answer.model.version}`;
  byId("by").textContent = requestId ? `${by}, as request ${requestId}.` : `${by}.`;
  const raw = byId("raw");
  raw.open = false;
  raw.ontoggle = () => {
    // A long video's answer is long: it is written out only for whom opens it.
    raw.lastElementChild.textContent = raw.open ? JSON.stringify(answer, null, 2) : "";
  };
}
