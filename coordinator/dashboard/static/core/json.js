// JSON without loss: numbers that JavaScript cannot hold stay the text that they were, so what is read and sent back
// is the same. Browsers that cannot tell the text round them, as JSON.parse does.

const canKeep = typeof JSON.rawJSON === "function";

/** Parse. Throws `SyntaxError`. */
export function parse(text) {
  if (!canKeep) {
    return JSON.parse(text);
  }
  return JSON.parse(text, (_, value, context) => {
    const source = context?.source;
    return typeof value === "number" && isRounded(value, source) ? JSON.rawJSON(source) : value;
  });
}

function isRounded(value, source) {
  return source !== undefined && /^-?\d+$/.test(source) && !Number.isSafeInteger(value);
}

/** Whether it is a number that JavaScript cannot hold. */
export const isRaw = (value) => canKeep && JSON.isRawJSON(value);

/** As people read it. */
export const pretty = (value) => JSON.stringify(value, null, 2);

/** Where a text stops being JSON, in words; empty if it is JSON. */
export function problemOf(text) {
  if (!text.trim()) {
    return "This is empty; {} is no arguments.";
  }
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    const at = /position (\d+)/.exec(error.message);
    if (!at) {
      return `This is no JSON: ${error.message}`;
    }
    const before = text.slice(0, Number(at[1])).split("\n");
    return `This is no JSON, in line ${before.length}, column ${before.at(-1).length + 1}.`;
  }
}
