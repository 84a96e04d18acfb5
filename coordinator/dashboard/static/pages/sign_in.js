// Sign in with a token. The browser keeps a cookie that no script can read, and never the token.

import { post } from "../core/api.js";
import { useBusy, useTitle } from "../core/hooks.js";
import { html, useEffect, useRef, useState } from "../core/view.js";

const NOT_KEPT = "Your browser did not keep the session: signing in takes HTTPS, or this machine's own address.";

export function SignIn({ problem: given, onSession }) {
  const [problem, setProblem] = useState(given);
  const [isBusy, run] = useBusy();
  const field = useRef(null);
  useTitle("Sign in");
  useEffect(() => field.current.focus(), []);
  useEffect(() => setProblem(given), [given]);

  const signIn = async (event) => {
    event.preventDefault();
    await run(async () => {
      try {
        await post("/session", { token: field.current.value.trim() });
      } catch (error) {
        setProblem(error.message);
        field.current.focus();
        // What is wrong is typed over.
        field.current.select();
        return;
      }
      // Whether the browser has kept the cookie, only the next request can tell.
      await onSession(NOT_KEPT);
    });
  };

  return html`
    <main class="alone">
      <form class="card" onSubmit=${signIn}>
        <p class="brand"><span class="mark" aria-hidden="true"></span>coordinator</p>
        <h1>Sign in</h1>
        <label for="token">API token</label>
        <input
          id="token"
          ref=${field}
          type="password"
          required
          maxlength="1024"
          autocomplete="off"
          autocapitalize="none"
          spellcheck=${false}
          aria-describedby="problem hint"
          aria-invalid=${problem ? "true" : "false"}
        />
        <p class="problem" id="problem" role="alert">${problem}</p>
        <button class="button primary" type="submit" disabled=${isBusy}><span>Sign in</span></button>
        <p class="hint" id="hint">Make one with <code>coordinator token create --name me --scopes read,manage</code></p>
      </form>
    </main>
  `;
}
