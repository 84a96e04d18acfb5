// What several pages show, read once: the queues, and the names of the workers.

import { read } from "./api.js";
import { useLoad } from "./hooks.js";
import { can, isHeld } from "./session.js";
import { createContext, html, useContext } from "./view.js";

const QUEUES_EVERY_MS = 2000;

const Shared = createContext(null);

const isOfQueues = ({ type }) => /^(job|queue|circuit)\./.test(type) && type !== "job.progress";

export function SharedData({ children }) {
  const queues = useLoad(
    async (signal) => (can("read") ? (await read("/queue", {}, signal)).items : []),
    [],
    { on: isOfQueues, everyMs: QUEUES_EVERY_MS },
  );
  const workers = useLoad(
    async (signal) => (can("read") && !isHeld() ? (await read("/worker", {}, signal)).items : []),
    [],
    { on: () => false, everyMs: QUEUES_EVERY_MS },
  );
  return html`<${Shared.Provider} value=${{ queues, workers }}>${children}</${Shared.Provider}>`;
}

/** The queues that the token may see: `{data, problem, isLoading, reload}`. */
export const useQueues = () => useContext(Shared).queues;

/** The registered workers; none for a token that is for some queues. */
export const useWorkers = () => useContext(Shared).workers;

export const namesOf = (loaded) => (loaded.data ?? []).map(({ name }) => name);
