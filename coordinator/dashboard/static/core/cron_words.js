// A cron expression in words: `0 9 * * 1-5` is "Monday to Friday at 09:00". Pure.
//
// It reads what `domain/cron.py` takes. What it has no short words for it leaves out, as it does what is wrong: words that
// are nearly right are worse than none. Each field is the set of what matches; the words are of the sets, not of how they
// were written.

const ALIASES = {
  "@hourly": "0 * * * *",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@weekly": "0 0 * * 0",
  "@monthly": "0 0 1 * *",
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
};
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const WEEKDAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const NTHS = { 1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 5: "5th", l: "last" };

const SIXTY = { first: 0, last: 59, names: [] };
const HOURS = { first: 0, last: 23, names: [] };
const DAYS = { first: 1, last: 31, names: [] };
const OF_YEAR = { first: 1, last: 12, names: ["", ...MONTHS] };
const OF_WEEK = { first: 0, last: 6, names: WEEKDAYS };

const TIMES_MOST = 6;
const LIST_MOST = 5;

/** The expression in words, or nothing. With six fields the first is the second. */
export function cronWords(expression) {
  const text = expression.trim().toLowerCase();
  const fields = (ALIASES[text] ?? text).split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) {
    return "";
  }
  const [weekday, month, day, hour, minute, second = "0"] = fields.reverse();
  const time = timeOf(setOf(second, SIXTY), setOf(minute, SIXTY), setOf(hour, HOURS));
  const on = dayOf(day, weekday, setOf(month, OF_YEAR));
  if (!time || !on) {
    return "";
  }
  if (time.isFixed) {
    return `${on.words || "every day"} ${time.words}`;
  }
  // Past midnight a night is of two days, and of which would have to be said.
  return !on.words ? time.words : time.isOfNight ? "" : `${time.words}, ${on.words}`;
}

/** With its zone: "every day at 09:00, Europe/Berlin"; the zone alone where there are no words. */
export const ruleWords = ({ cron, timezone }) => [cronWords(cron), timezone].filter(Boolean).join(", ");

/** The values that match, in their order; null for what is wrong, or is read in more than one way. */
function setOf(field, scale) {
  const found = new Set();
  for (const item of field.split(",")) {
    const values = valuesOf(item, scale);
    if (!values) {
      return null;
    }
    values.forEach((value) => found.add(value));
  }
  return [...found].sort((one, other) => one - other);
}

function valuesOf(item, scale) {
  const [found, from, to, step] = /^(\*|\w+)(?:-(\w+))?(?:\/(\d{1,2}))?$/.exec(item) ?? [];
  const isAll = from === "*";
  if (!found || (isAll && to) || Number(step) === 0) {
    return null;
  }
  const first = isAll ? scale.first : numberOf(from, scale);
  const last = isAll || (step && !to) ? scale.last : numberOf(to ?? from, scale);
  // A range of one is refused; what steps past the end, or past the end of some month, is too odd.
  if (first === null || last === null || (to && first === last) || (last < first && (step || scale === DAYS))) {
    return null;
  }
  return rangeOf(first, last, scale).filter((_, at) => at % Number(step ?? 1) === 0);
}

/** From one to the other, past the end if it is before. Sunday is also 7. */
function rangeOf(first, last, scale) {
  const size = scale.last - scale.first + 1;
  const length = last < first ? last - first + size : last - first;
  return Array.from({ length: length + 1 }, (_, at) => scale.first + ((first - scale.first + at) % size));
}

function numberOf(text, { first, last, names }) {
  const named = text.length === 3 ? names.findIndex((name) => name.slice(0, 3).toLowerCase() === text) : -1;
  const value = named >= 0 ? named : /^\d{1,2}$/.test(text) ? Number(text) : NaN;
  return value >= first && value <= (names === WEEKDAYS ? 7 : last) ? value : null;
}

/** `{words, isFixed, isOfNight}`: at some times, or again and again; null if there are no words. */
function timeOf(seconds, minutes, hours) {
  if (!seconds || !minutes || !hours) {
    return null;
  }
  const isAlways = hours.length === 24;
  if (seconds.length > 1 || (seconds[0] && minutes.length > 1)) {
    return minutes.length === 60 && isAlways ? paced(stepOf(seconds, 60, 0), "second") : null;
  }
  if (minutes.length * hours.length <= TIMES_MOST) {
    const times = hours.flatMap((hour) => minutes.map((minute) => clock(hour, minute, seconds[0])));
    const every = minutes.length === 1 && hours.length > 2 && stepOf(hours, 24, hours[0]);
    return every ? { words: `every ${every} hours from ${times[0]}` } : { words: `at ${listed(times)}`, isFixed: true };
  }
  if (seconds[0]) {
    return null;
  }
  return minutes.length === 1 ? hourly(minutes[0], hours, isAlways) : often(minutes, hours, isAlways);
}

function hourly(minute, hours, isAlways) {
  if (isAlways) {
    return { words: minute ? `every hour at minute ${minute}` : "every hour" };
  }
  const step = stepOf(hours, 24, hours[0]);
  if (step) {
    return { words: `every ${step} hours from ${clock(hours[0], minute)}` };
  }
  const run = runOf(hours, 24);
  return run && { words: `every hour from ${clock(run[0], minute)} to ${clock(run[1], minute)}`, isOfNight: run[1] < run[0] };
}

function often(minutes, hours, isAlways) {
  const step = stepOf(minutes, 60, 0);
  if (!step) {
    return isAlways && minutes.length <= LIST_MOST ? { words: `every hour at minutes ${listed(minutes)}` } : null;
  }
  const { words } = paced(step, "minute");
  const run = isAlways || runOf(hours, 24);
  return run && (isAlways ? { words } : { words: `${words} from ${clock(run[0], 0)} to ${clock(run[1], minutes.at(-1))}`, isOfNight: run[1] < run[0] });
}

const paced = (step, unit) => step && { words: step === 1 ? `every ${unit}` : `every ${step} ${unit}s` };

/** How far apart they are, all round and from `first`; 0 if not all are. */
function stepOf(values, size, first) {
  const step = size / values.length;
  return Number.isInteger(step) && values.every((value, at) => value === first + at * step) ? step : 0;
}

/** `[first, last]` of values that follow each other, also past the end; null if they do not. */
function runOf(values, size) {
  const starts = values.filter((value) => !values.includes((value + size - 1) % size));
  return starts.length === 1 ? [starts[0], (starts[0] + values.length - 1) % size] : null;
}

/** `{words}`, which are empty for every day; null if there are none. */
function dayOf(day, weekday, months) {
  const isAny = (field) => field === "*" || field === "?";
  const month = months && monthsOf(months);
  const of = isAny(day) ? "" : datesOf(day, months);
  const on = isAny(weekday) ? "" : weekdaysOf(weekday, months);
  if (month === null || of === null || on === null) {
    return null;
  }
  if (of && on) {
    // One of the two is enough, or with a star in front (`*/2`) both have to hold; with months it is too much to say.
    return day.startsWith("*") || weekday.startsWith("*") || month ? null : { words: `${of} and ${on}` };
  }
  return { words: of || on || (month && `every day ${month}`) };
}

/** "in July", "from March to May"; empty for all, null if there are no words. */
function monthsOf(months) {
  const run = months.length > 2 && runOf(months.map((month) => month - 1), 12);
  if (months.length === 12) {
    return "";
  }
  if (run) {
    return `from ${MONTHS[run[0]]} to ${MONTHS[run[1]]}`;
  }
  return months.length <= LIST_MOST ? `in ${listed(months.map((month) => MONTHS[month - 1]))}` : null;
}

/** "on the 1st and 15th of each month". */
function datesOf(field, months) {
  const items = field.split(",");
  const numbers = items.filter((item) => item !== "l").join(",");
  const days = numbers ? setOf(numbers, DAYS) : [];
  if (!days || !months || days.length > LIST_MOST) {
    return null;
  }
  const words = [...days.map(ordinal), ...(items.includes("l") ? ["last day"] : [])];
  return `on the ${listed(words)} ${ofMonths(months)}`;
}

/** "of each month", "of January and July", "of each month from March to May". */
function ofMonths(months) {
  const words = monthsOf(months) ?? "";
  return words.startsWith("in ") ? words.replace("in ", "of ") : `of each month${words && ` ${words}`}`;
}

/** "Monday to Friday", "every Saturday and Sunday", "on the 2nd Friday of each month". */
function weekdaysOf(field, months) {
  if (!months) {
    return null;
  }
  const nths = field.split(",").map((item) => /^(?:l([0-7])|(\w+)#([1-5]))$/.exec(item));
  if (nths.every(Boolean)) {
    const words = nths.map(([, last, which, nth]) => [NTHS[nth ?? "l"], numberOf(last ?? which, OF_WEEK)]);
    return words.every(([, day]) => day !== null) ? `on the ${listed(words.map(([nth, day]) => `${nth} ${WEEKDAYS[day % 7]}`))} ${ofMonths(months)}` : null;
  }
  const days = setOf(field, OF_WEEK);
  const month = monthsOf(months);
  if (!days || days.length === 7 || month === null) {
    return null;
  }
  const run = days.length > 2 && runOf(days, 7);
  // The week is told from Monday on.
  const names = [...days].sort((one, other) => ((one + 6) % 7) - ((other + 6) % 7)).map((day) => WEEKDAYS[day]);
  const words = run ? `${WEEKDAYS[run[0]]} to ${WEEKDAYS[run[1]]}` : `every ${listed(names)}`;
  return month ? `${words} ${month}` : words;
}

function ordinal(number) {
  const isTeen = number > 10 && number < 14;
  return `${number}${(!isTeen && ["", "st", "nd", "rd"][number % 10]) || "th"}`;
}

const two = (value) => String(value).padStart(2, "0");
const clock = (hour, minute, second) => `${two(hour)}:${two(minute)}${second ? `:${two(second)}` : ""}`;
const listed = (words) => (words.length > 1 ? `${words.slice(0, -1).join(", ")} and ${words.at(-1)}` : String(words[0]));
