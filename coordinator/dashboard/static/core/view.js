// What draws: Preact with htm, so that no file has to be built. All text goes in as text nodes, never as markup.

import { h } from "../vendor/preact.js";
import htm from "../vendor/htm.js";

export { createContext, Fragment, render } from "../vendor/preact.js";
export {
  useCallback,
  useContext,
  useEffect,
  useId,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../vendor/hooks.js";

export const html = htm.bind(h);

/** Class names, without those that do not hold. */
export const classes = (...names) => names.filter(Boolean).join(" ");
