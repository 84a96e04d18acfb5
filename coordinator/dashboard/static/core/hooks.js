// What pages share: to read and read anew, the time, and keys.

import { now } from "./api.js";
import { modeNow, subscribe, watchMode } from "./live.js";
import { useCallback, useEffect, useRef, useState } from "./view.js";

const LEAST_MS = 1000;
const BREATH = 5;

/**
 * Read something, and anew whenever it may have changed: on events that `on` picks, at most every `everyMs`, and never
 * two reads at once. What was read stays shown meanwhile. `deps` say when it is something else that is read.
 *
 * Gives `{data, problem, isLoading, reload}`.
 */
export function useLoad(load, deps, { on = () => true, everyMs = LEAST_MS } = {}) {
  const [state, setState] = useState({ data: undefined, problem: null, isLoading: true });
  const reader = useRef(null);

  useEffect(() => {
    const made = readerOf(load, everyMs, setState);
    reader.current = made;
    setState({ data: undefined, problem: null, isLoading: true });
    made.read();
    const unsubscribe = subscribe((event) => {
      if (event.type === "look" || on(event)) {
        made.soon();
      }
    });
    return () => {
      unsubscribe();
      made.stop();
    };
  }, deps);

  const reload = useCallback(() => reader.current?.read(), []);
  return { ...state, reload };
}

function readerOf(load, everyMs, setState) {
  const ended = new AbortController();
  let isReading = false;
  let isWanted = false;
  let timer = 0;
  let readAt = 0;
  let tookMs = 0;

  async function read() {
    clearTimeout(timer);
    timer = 0;
    if (isReading) {
      isWanted = true;
      return;
    }
    isReading = true;
    isWanted = false;
    readAt = Date.now();
    let next;
    try {
      const data = await load(ended.signal);
      next = () => ({ data, problem: null, isLoading: false });
    } catch (problem) {
      // What was read before stays: a server that is away for a moment empties no page.
      next = (before) => ({ data: problem.status === 404 ? undefined : before.data, problem, isLoading: false });
    }
    isReading = false;
    tookMs = Date.now() - readAt;
    if (!ended.signal.aborted) {
      setState(next);
      // Somebody has done something meanwhile, and is to see what came of it.
      if (isWanted) {
        void read();
      }
    }
  }

  function readLater() {
    timer = 0;
    if (isReading) {
      soon();
    } else {
      void read();
    }
  }

  function soon() {
    if (!timer && !ended.signal.aborted) {
      // What takes long is read more seldom: a page that is looked at must not be what a store is busy with.
      timer = setTimeout(readLater, Math.max(0, readAt + Math.max(everyMs, BREATH * tookMs) - Date.now()));
    }
  }

  function stop() {
    clearTimeout(timer);
    ended.abort();
  }

  return { read, soon, stop };
}

const clock = { watchers: new Set(), timer: 0 };

/** Now in Unix ms, by the store's clock, anew each second while the tab is seen. */
export function useNow() {
  const [time, setTime] = useState(now);
  useEffect(() => {
    const tick = () => setTime(now());
    clock.watchers.add(tick);
    clock.timer ||= setInterval(() => {
      if (document.visibilityState === "visible") {
        for (const watcher of clock.watchers) {
          watcher();
        }
      }
    }, 1000);
    return () => {
      clock.watchers.delete(tick);
      if (!clock.watchers.size) {
        clearInterval(clock.timer);
        clock.timer = 0;
      }
    };
  }, []);
  return time;
}

/** How it is known what happens: `off`, `live`, `polling`. */
export function useMode() {
  const [mode, setMode] = useState(modeNow);
  useEffect(() => {
    // It may have changed between the first look and now.
    setMode(modeNow());
    return watchMode(setMode);
  }, []);
  return mode;
}

/** Whether a key that was pressed is meant for the page, and not for what is being typed in. */
export function isForPage(event) {
  const at = event.target;
  const isTyping = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
  return !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]");
}

/** Call `act` while `isBusy` is told, so that nothing is done twice. Gives `[isBusy, run]`. */
export function useBusy() {
  const [isBusy, setBusy] = useState(false);
  const run = async (act) => {
    setBusy(true);
    try {
      return await act();
    } finally {
      setBusy(false);
    }
  };
  return [isBusy, run];
}

/** The title of the document. */
export function useTitle(title) {
  useEffect(() => {
    document.title = `${title} · coordinator`;
  }, [title]);
}
