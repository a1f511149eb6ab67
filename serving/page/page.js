// The page: a video is chosen, sent and answered. What each part shows is in the other modules.

import { showAnswer } from "./answer.js";
import { classify, model } from "./ask.js";
import { ProblemView } from "./problem.js";
import { byId, percent, size } from "./text.js";
import { colours, TimelineView } from "./timeline.js";

const KEY = "motionfit-key";
// Problems that a plain answer, of a few clips only, may not have: too much asked, busy, too late.
const TOO_MUCH = new Set(["too-many-windows", "bad-parameter", 503, 504]);

const player = byId("player");
const timeline = new TimelineView({
  onSeek: (seconds) => {
    if (playable) player.currentTime = seconds;
  },
});
const problem = new ProblemView({
  onKey: (key) => {
    sessionStorage.setItem(KEY, key);
    start();
  },
});

let served = null; // what GET /model said
let file = null;
let answer = null;
let playable = null; // null: not known yet
let asking = new AbortController();

/** Show exactly one of: progress, problem, answer. */
function show(section) {
  document.body.dataset.started = "";
  byId("stage").hidden = false;
  for (const name of ["progress", "answer"]) byId(name).hidden = name !== section;
  if (section !== "problem") problem.hide();
}

function say(text) {
  byId("status").textContent = text;
}

function choose(files) {
  if (files.length === 0) return;
  file = files[0];
  problem.hide({ forget: true });
  timeline.hide();
  watch();
  ask();
  if (files.length > 1) say(`One video at a time: ${file.name} was taken.`);
}

/** Load the chosen file into the player. Nothing is shown until it is known whether it plays. */
function watch() {
  answer = playable = null;
  showWatch();
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(file);
}

/** The player, or why there is none. The timeline works without one. */
function showWatch() {
  const unplayable = answer !== null && playable === false;
  if (unplayable) {
    const { codec, container } = answer.video;
    byId("unplayable").textContent =
      `This browser cannot play ${codec} in ${container}. The server can read it: here is its answer.`;
  }
  byId("unplayable").hidden = !unplayable;
  player.hidden = !playable;
  byId("watch").hidden = !playable && !answer?.timeline && !unplayable;
}

async function ask({ plain = "" } = {}) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  const key = sessionStorage.getItem(KEY);
  showProgress();
  try {
    const reply = await classify(file, {
      timeline: !plain,
      key,
      signal,
      onSent: showSent,
      onWhole: showWorking,
    });
    answered(reply, plain);
  } catch (refusal) {
    if (signal.aborted) return;
    if (!refusal.code) throw refusal;
    const tooMuch = TOO_MUCH.has(refusal.code) || TOO_MUCH.has(refusal.status);
    if (!plain && tooMuch) return ask({ plain: `Without a timeline: ${refusal.detail}.` });
    refused(refusal, { key, retry: () => ask() });
  }
}

function showProgress() {
  show("progress");
  byId("doing").textContent = `Sending ${file.name || "the video"}`;
  say(byId("doing").textContent);
  showSent(0);
}

function showSent(bytes) {
  const share = file.size ? Math.min(bytes / file.size, 1) : 1;
  byId("sent").value = share;
  byId("amount").textContent = `${size(bytes)} of ${size(file.size)}, ${percent(share)}`;
}

function showWorking() {
  byId("sent").removeAttribute("value");
  byId("doing").textContent = "The server looks at it";
  byId("amount").textContent = "A long video takes a while: all of it is looked at.";
  say("Sent. The server looks at it.");
}

function answered(reply, plain) {
  const takeFocus = mayTakeFocus();
  const threshold = served?.clip.abstain_threshold ?? 0;
  answer = reply.answer;
  const colour = colours(answer.timeline ?? { segments: [], windows: [] });
  showAnswer({ ...reply, threshold, colour, plain });
  if (answer.timeline) {
    timeline.show(answer.timeline, { seconds: answer.video.duration_seconds, threshold, colour });
    timeline.at(player.currentTime);
  }
  show("answer");
  showWatch();
  document.title = `${answer.label ?? "None of these"} · motionfit`;
  say(`Answered: ${answer.label ?? "none of these"}, ${percent(answer.top[0].score)}.`);
  if (takeFocus) byId("verdict").focus({ preventScroll: true });
}

function refused(refusal, { key, retry }) {
  show("problem");
  problem.show(refusal, { retry, refusedKey: Boolean(key) });
  if (refusal.status === 401) forget();
}

/** Not from someone who is with the player or reads on. */
function mayTakeFocus() {
  const { activeElement } = document;
  return activeElement === document.body || Boolean(activeElement.closest("#chooser, #progress, #problem"));
}

function forget() {
  sessionStorage.removeItem(KEY);
  byId("keyed").hidden = true;
}

/** Ask what is served, and go on with the video that a key was missing for. */
async function start() {
  const key = sessionStorage.getItem(KEY);
  try {
    served = await model({ key });
  } catch (refusal) {
    if (refusal.status === 401) refused(refusal, { key });
    return;
  }
  byId("served").textContent = `${served.name} ${served.version} on ${served.backend}`;
  byId("known").textContent = `It can tell ${served.labels.length} actions: ${named(served.labels)}.`;
  byId("keyed").hidden = !key;
  problem.hide();
  if (file) ask();
}

function named(labels) {
  const most = 12;
  if (labels.length <= most) return labels.join(", ");
  return `${labels.slice(0, most).join(", ")} and ${labels.length - most} more`;
}

const calm = matchMedia("(prefers-reduced-motion: reduce)");
let frame = 0;

/** Keep the timeline where the player is; smoothly while it plays, unless motion is unwanted. */
function follow() {
  cancelAnimationFrame(frame);
  if (byId("timeline").hidden) return;
  timeline.at(player.currentTime);
  if (!player.paused && !calm.matches) frame = requestAnimationFrame(follow);
}

for (const event of ["play", "timeupdate", "seeking"]) player.addEventListener(event, follow);
for (const event of ["loadedmetadata", "error"]) {
  player.addEventListener(event, () => {
    playable = player.error === null && player.videoWidth > 0;
    showWatch();
  });
}

byId("file").addEventListener("change", (event) => {
  choose(event.target.files);
  event.target.value = ""; // so that the same file can be chosen again
});
byId("cancel").addEventListener("click", () => {
  asking.abort();
  byId("progress").hidden = true;
  say("Cancelled.");
  byId("file").focus();
});
byId("forget").addEventListener("click", () => {
  forget();
  say("The key was forgotten.");
  byId("file").focus();
});
addEventListener("paste", (event) => choose(event.clipboardData.files));
addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.dataset.dragging = "";
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) delete document.body.dataset.dragging;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  delete document.body.dataset.dragging;
  choose(event.dataTransfer.files);
});
start();
