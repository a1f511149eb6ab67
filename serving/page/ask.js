// Asks the server: what the model is, and what is done in a video.

/** Why the server did not answer, as a person should read it. */
export class Refusal extends Error {
  constructor({ code, title, detail, status = 0, retryAfterSeconds = null, requestId = null }) {
    super(detail);
    Object.assign(this, { code, title, detail, status, retryAfterSeconds, requestId });
  }
}

const UNREACHABLE = {
  code: "unreachable",
  title: "The server cannot be reached",
  detail: "It may have stopped, or hung up before the whole video was sent.",
};

/**
 * Sends `file` to POST /classify.
 *
 * `onSent(bytes)` is called while the upload proceeds, `onWhole()` when the last byte has left.
 * Rejects with a Refusal, or with the signal's reason when that is aborted.
 * `uploadMs` is what the upload took, as this browser saw it.
 */
export function classify(file, { timeline, key, signal, onSent, onWhole }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing about an upload's progress
    const started = performance.now();
    let uploadMs = null;
    request.open("POST", timeline ? "classify?timeline=true" : "classify");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = (event) => onSent(event.loaded);
    request.upload.onload = () => {
      uploadMs = performance.now() - started;
      onWhole();
    };
    request.onload = () => {
      if (request.status !== 200) return reject(refusal(request));
      resolve({ answer: JSON.parse(request.responseText), uploadMs, requestId: id(request) });
    };
    request.onerror = () => reject(new Refusal(UNREACHABLE));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });
}

/** What GET /model says. Rejects with a Refusal. */
export async function model({ key }) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  let response;
  try {
    response = await fetch("model", { headers });
  } catch {
    throw new Refusal(UNREACHABLE);
  }
  const { status } = response;
  if (!response.ok) throw new Refusal({ code: "model", title: "", detail: "", status });
  return response.json();
}

function refusal(request) {
  const retryAfterSeconds = Number.parseInt(request.getResponseHeader("Retry-After"), 10) || null;
  const common = { status: request.status, retryAfterSeconds, requestId: id(request) };
  try {
    const { code, title, detail } = JSON.parse(request.responseText);
    return new Refusal({ ...common, code, title, detail });
  } catch {
    // Not from this server but from something before it.
    const title = `Status ${request.status} ${request.statusText}`;
    return new Refusal({ ...common, code: "unknown", title, detail: "No reason was given." });
  }
}

function id(request) {
  return request.getResponseHeader("X-Request-Id");
}
