// Numbers as people read them, and elements made of text.

/** 0.9134 -> "91 %". Never "100 %" or "0 %" for what is only nearly so. */
export function percent(score) {
  const rounded = Math.round(score * 100);
  if (rounded === 100 && score < 1) return "> 99 %";
  if (rounded === 0 && score > 0) return "< 1 %";
  return `${rounded} %`;
}

/** Seconds -> "0:07.2", or "1:02:03" in a video of `total` seconds that is over ten minutes. */
export function clock(seconds, total) {
  const fine = total <= 600;
  const tenths = fine ? Math.round(seconds * 10) : Math.round(seconds) * 10;
  const [hours, minutes] = [Math.floor(tenths / 36000), Math.floor(tenths / 600) % 60];
  const rest = ((tenths % 600) / 10).toFixed(fine ? 1 : 0).padStart(fine ? 4 : 2, "0");
  return total >= 3600 ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** Milliseconds -> "0.42 ms", "83 ms", "2.41 s". */
export function duration(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(2)} s`;
  return `${ms < 10 ? ms.toFixed(2) : Math.round(ms)} ms`;
}

/** Bytes -> "812 kB", "3.4 MB". */
export function size(bytes) {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** An element with attributes and children; strings among these become text. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

export const byId = (id) => document.getElementById(id);
