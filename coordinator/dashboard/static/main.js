// The dashboard: who has signed in, and then the page that the address names.

import { onSignedOut, Problem, read } from "./core/api.js";
import { begin, end } from "./core/live.js";
import { can, setSession } from "./core/session.js";
import { html, render, useCallback, useEffect, useState } from "./core/view.js";
import { Trouble } from "./parts/bits.js";
import { SignIn } from "./pages/sign_in.js";
import { applyTheme } from "./shell/theme.js";
import { Shell } from "./shell/shell.js";

applyTheme();

function App() {
  const [state, setState] = useState({ is: "loading" });

  const load = useCallback(async (problem = "") => {
    try {
      const session = await read("/session");
      setSession(session);
      if (can("read")) {
        begin(session.queues);
      }
      setState({ is: "in", session });
    } catch (error) {
      end();
      setSession(null);
      const isOut = error instanceof Problem && error.status === 401;
      setState(isOut ? { is: "out", problem } : { is: "trouble", error });
    }
  }, []);

  useEffect(() => {
    onSignedOut(() => void load("The session has ended; sign in again."));
    void load();
  }, [load]);

  switch (state.is) {
    case "in":
      return html`<${Shell} key=${state.session.tokenId} session=${state.session} onSession=${load} />`;
    case "out":
      return html`<${SignIn} problem=${state.problem} onSession=${load} />`;
    case "trouble":
      return html`<main class="alone"><${Trouble} problem=${state.error} onRetry=${() => void load()} /></main>`;
    default:
      return null;
  }
}

render(html`<${App} />`, document.getElementById("app"));
