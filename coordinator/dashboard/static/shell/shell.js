// What is around every page: the ways to go, what finds, who has signed in, and the keys.

import { ask } from "../core/api.js";
import { isForPage } from "../core/hooks.js";
import { end } from "../core/live.js";
import { go, to, useRoute } from "../core/router.js";
import { can } from "../core/session.js";
import { SharedData, useQueues } from "../core/shared.js";
import { compact } from "../core/format.js";
import { classes, html, useEffect, useLayoutEffect, useRef, useState } from "../core/view.js";
import { Button, Empty, LiveMark } from "../parts/bits.js";
import { Dialogs } from "../parts/dialogs.js";
import { Icon } from "../parts/icons.js";
import { focusFirstRow } from "../parts/table.js";
import { attempt, Toasts } from "../parts/toasts.js";
import { Finder } from "./finder.js";
import { showHelp } from "./help.js";
import { pageOf, placesSeen, refusalOf } from "./places.js";
import { chosenTheme, chooseTheme, THEMES } from "./theme.js";

const CHORD_MS = 3000;

export function Shell({ session, onSession }) {
  return html`
    <${SharedData}>
      <${Frame} session=${session} onSession=${onSession} />
      <${Dialogs} />
      <${Toasts} />
    </${SharedData}>
  `;
}

function Frame({ session, onSession }) {
  const route = useRoute();
  const [isOpen, setOpen] = useState(false);
  const main = useRef(null);
  const Page = pageOf(route);
  const refusal = refusalOf(route);
  const place = route.parts[0] ?? "overview";
  useKeys();
  useEffect(() => setOpen(false), [route.hash]);
  useEffect(() => scrollTo(0, 0), [route.parts.join("/")]);

  const signOut = async () => {
    // Who was signed out already is signed out.
    await attempt(() => ask("DELETE", "/session").catch((error) => (error.status === 401 ? null : Promise.reject(error))));
    end();
    await onSession();
  };

  return html`
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      main.current.focus();
    }}>Skip to the page</a>
    <div class=${classes("frame", isOpen && "is-open")}>
      <header class="side">
        <div class="side-head">
          <a class="brand" href="#/"><span class="mark" aria-hidden="true"></span>coordinator</a>
          <${Button} kind="bare only-phone" icon=${isOpen ? "close" : "menu"} label="Menu" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)} />
        </div>
        <${Ways} place=${place} />
        <${Who} session=${session} onSignOut=${signOut} />
      </header>
      <div class="body">
        <div class="top" role="search">
          <${Finder} />
          <div class="top-end">
            ${can("read") && html`<${LiveMark} />`}
            <${Button} kind="bare" icon="help" label="Keyboard shortcuts" onClick=${showHelp} />
            ${can("enqueue") && html`<a class="button primary" href="#/new"><${Icon} name="plus" /><span>New job</span></a>`}
          </div>
        </div>
        <main id="main" ref=${main} tabindex="-1">
          ${refusal
            ? html`<${Empty} icon="key" title=${refusal.title} isPage>${refusal.why}</${Empty}>`
            : html`<${Page} key=${route.parts.join("/")} route=${route} session=${session} />`}
        </main>
      </div>
    </div>
  `;
}

function Ways({ place }) {
  const queues = useQueues();
  const sum = (name) => (queues.data ?? []).reduce((all, queue) => all + queue[name], 0);
  const counts = { jobs: [sum("running"), "running"], dead: [sum("dead"), "dead"] };
  return html`
    <nav aria-label="Pages">
      <ul class="ways">
        ${placesSeen().map(({ name, title, key }) => {
          const [number, word] = counts[name] ?? [0];
          return html`
            <li key=${name}>
              <a href=${to(name)} class=${classes("way", place === name && "is-here")} aria-current=${place === name ? "page" : undefined} title=${key && `g ${key}`}>
                <${Icon} name=${name} /><span>${title}</span>
                ${number ? html`<span class=${`way-count is-${word}`} aria-label=${`${number} ${word}`}>${compact(number)}</span>` : null}
              </a>
            </li>
          `;
        })}
      </ul>
    </nav>
  `;
}

function Who({ session, onSignOut }) {
  const [theme, setTheme] = useState(chosenTheme);
  const choose = (next) => {
    chooseTheme(next);
    setTheme(next);
  };
  const icons = { system: "system", light: "sun", dark: "moon" };
  return html`
    <div class="who">
      <div class="themes" role="group" aria-label="Colours">
        ${THEMES.map(
          ([name, title]) => html`
            <button key=${name} type="button" class="bare" aria-pressed=${theme === name} aria-label=${title} title=${title} onClick=${() => choose(name)}>
              <${Icon} name=${icons[name]} />
            </button>
          `,
        )}
      </div>
      <div class="who-line">
        <a href="#/session" class="who-name">${session.isOpen ? "Everybody here" : session.name}</a>
        ${!session.isOpen && html`<${Button} kind="bare" icon="out" label="Sign out" onClick=${onSignOut} />`}
      </div>
      ${session.queues.length > 0 && html`<p class="who-queues faint">Shows the queues ${session.queues.join(", ")} only</p>`}
    </div>
  `;
}

function useKeys() {
  const chord = useRef(0);
  // At once: who knows the keys does not wait for a picture.
  useLayoutEffect(() => {
    const heed = (event) => {
      if (!isForPage(event)) {
        return;
      }
      if (Date.now() - chord.current < CHORD_MS) {
        chord.current = 0;
        const place = placesSeen().find(({ key }) => key === event.key);
        if (place) {
          event.preventDefault();
          go(to(place.name));
          return;
        }
      }
      act(event);
    };
    const act = (event) => {
      switch (event.key) {
        case "g":
          chord.current = Date.now();
          break;
        case "/":
          event.preventDefault();
          document.getElementById("find").focus();
          break;
        case "?":
          event.preventDefault();
          showHelp();
          break;
        case "c":
          if (can("enqueue")) {
            event.preventDefault();
            go("#/new");
          }
          break;
        case "ArrowDown":
        case "j":
          if (!event.target.closest("tbody tr, [role=listbox]") && focusFirstRow()) {
            event.preventDefault();
          }
          break;
        default:
      }
    };
    addEventListener("keydown", heed);
    return () => removeEventListener("keydown", heed);
  }, []);
}
