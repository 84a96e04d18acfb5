// Values as people read them. Pure: the present moment is a parameter.

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
];

/** A length of time: `840 ms`, `2.4 s`, `3 m 20 s`, `2 h`, `5 d 3 h`. */
export function duration(ms) {
  if (ms === null || ms === undefined) {
    return "–";
  }
  if (ms < 1000) {
    return `${Math.round(ms)} ms`;
  }
  if (ms < 10_000) {
    return `${trimmed(ms / 1000)} s`;
  }
  const at = UNITS.findIndex(([, size]) => ms >= size);
  const [name, size] = UNITS[at];
  const whole = Math.floor(ms / size);
  const next = UNITS[at + 1];
  const rest = next && whole < 10 ? Math.floor((ms - whole * size) / next[1]) : 0;
  return rest ? `${whole} ${name} ${rest} ${next[0]}` : `${whole} ${name}`;
}

const trimmed = (value) => value.toFixed(1).replace(/\.0$/, "");

/** A length of time as the API takes it, exact: `90s`, `2h`, `1500ms`. */
export function exact(ms) {
  if (ms === null || ms === undefined) {
    return "";
  }
  const [name, size] = UNITS.find(([, each]) => ms >= each && ms % each === 0) ?? ["ms", 1];
  return `${ms / size}${name}`;
}

/** How long ago, or in how long: `now`, `12 s ago`, `in 3 m`. */
export function relative(instant, now) {
  const off = Date.parse(instant) - now;
  const about = Math.abs(off);
  if (about < 1000) {
    return "now";
  }
  const [name, size] = UNITS.find(([, each]) => about >= each);
  const text = `${Math.floor(about / size)} ${name}`;
  return off > 0 ? `in ${text}` : `${text} ago`;
}

/** Until an instant, counted down: `4:05`, `1:02:09`. */
export function countdown(instant, now) {
  const left = Math.max(0, Math.ceil((Date.parse(instant) - now) / 1000));
  if (left >= 86_400) {
    return duration(left * 1000);
  }
  const [hours, minutes, seconds] = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** An instant in full, with its zone; of the viewer if none is named. */
export function absolute(instant, timeZone) {
  const options = { dateStyle: "medium", timeStyle: "medium" };
  const date = new Date(instant);
  try {
    const zone = timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    return `${date.toLocaleString("en-GB", { ...options, timeZone: zone })} ${zone}`;
  } catch {
    return date.toISOString();
  }
}

/** Day and time of day in a zone, short. */
export function shortly(instant, timeZone) {
  const options = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  try {
    return new Date(instant).toLocaleString("en-GB", { ...options, timeZone });
  } catch {
    return new Date(instant).toISOString();
  }
}

/** A number with its thousands apart. */
export const count = (value) => (value ?? 0).toLocaleString("en-GB").replaceAll(",", "\u202f");

/** A number in little room: `950`, `12.4k`, `3M`. */
export function compact(value) {
  const size = [
    [1e6, "M"],
    [1e3, "k"],
  ].find(([each]) => value >= each * 10 || (each === 1e6 && value >= each));
  return size ? `${trimmed(value / size[0])}${size[1]}` : count(value);
}

export function bytes(value) {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  const at = value ? Math.min(names.length - 1, Math.floor(Math.log2(value) / 10)) : 0;
  return `${at ? trimmed(value / 1024 ** at) : value} ${names[at]}`;
}

/** A word and its number: `1 job`, `2 jobs`. */
export const plural = (value, word, many = `${word}s`) => `${count(value)} ${value === 1 ? word : many}`;

/** What an error says, in one line. Errors are any JSON. */
export function errorLine(error) {
  if (error === null || error === undefined) {
    return "";
  }
  if (typeof error !== "object") {
    return String(error);
  }
  const text = typeof error.message === "string" ? error.message : JSON.stringify(error);
  return typeof error.type === "string" ? `${error.type}: ${text}` : text;
}

/** What a rate allows: `2 per s, 40 at once`. */
export function rateWords(rate) {
  if (!rate) {
    return "no limit";
  }
  const per = rate.periodMs === 1000 ? "s" : duration(rate.periodMs);
  return `${trimmed(rate.limit)} per ${per}, ${trimmed(rate.burst)} at once`;
}

/** How waits grow after failures. */
export function backoffWords(job) {
  if (job.retry) {
    return job.retry.map((wait) => duration(wait)).join(", ");
  }
  const { type, baseMs, factor, maxMs } = job.backoff;
  const growth = type === "exponential" ? ` × ${factor}` : "";
  return `${type}, from ${duration(baseMs)}${growth}, at most ${duration(maxMs)}`;
}
