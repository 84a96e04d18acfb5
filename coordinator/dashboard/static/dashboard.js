// The dashboard. Whatever the server tells is put into the page as text, never as markup.

const SESSION = new URL("../session", import.meta.url);

const element = (id) => document.getElementById(id);
const form = element("sign-in");
const field = element("token");

/** Ask the API. Answers the status and the JSON; throws what can be shown if nothing came back. */
async function ask(method, body) {
  const request = { method, cache: "no-store" };
  if (body !== undefined) {
    request.headers = { "content-type": "application/json" };
    request.body = JSON.stringify(body);
  }
  try {
    const answer = await fetch(SESSION, request);
    const isJson = /[/+]json\b/.test(answer.headers.get("content-type") ?? "");
    return { ok: answer.ok, status: answer.status, json: isJson ? await answer.json() : {} };
  } catch {
    throw new Error("The coordinator does not answer. Is it running?");
  }
}

const detail = (answer) => answer.json.detail ?? `The coordinator answered ${answer.status}.`;

/** Show one of the parts of the page, and nothing else. */
function show(id) {
  for (const part of ["trouble", "sign-in", "session"]) {
    element(part).hidden = part !== id;
  }
}

function chips(id, texts) {
  element(id).replaceChildren(
    ...texts.map((text) => {
      const chip = document.createElement("li");
      chip.textContent = text;
      return chip;
    }),
  );
}

function showSignIn(problem = "") {
  element("problem").textContent = problem;
  field.setAttribute("aria-invalid", problem ? "true" : "false");
  show("sign-in");
  field.focus();
}

function showSession(session) {
  element("how").textContent = session.isOpen ? "No token is needed on this machine" : `Token ${session.tokenId}`;
  element("name").textContent = session.isOpen ? "Everybody here" : session.name;
  chips("scopes", session.scopes);
  chips("queues", session.queues.length ? session.queues : ["all"]);
  const until = session.expiresAt && new Date(session.expiresAt);
  element("until").textContent = until ? until.toLocaleString([], { dateStyle: "medium", timeStyle: "short" }) : "";
  element("until").dateTime = session.expiresAt ?? "";
  element("until").hidden = element("until-label").hidden = !until;
  element("sign-out").hidden = session.isOpen;
  show("session");
}

/** Show who is signed in, or the form. `problem` is shown there. */
async function load(problem) {
  const answer = await ask("GET");
  if (answer.ok) {
    showSession(answer.json);
  } else if (answer.status === 401) {
    showSignIn(problem);
  } else {
    throw new Error(detail(answer));
  }
}

async function signIn() {
  const answer = await ask("POST", { token: field.value.trim() });
  if (!answer.ok) {
    showSignIn(detail(answer));
    field.select();
    return;
  }
  field.value = "";
  // Whether the browser has kept the cookie, only the next request can tell.
  await load("Your browser did not keep the session: signing in takes HTTPS, or this machine's own address.");
  element("name").focus();
}

async function signOut() {
  const answer = await ask("DELETE");
  // Who was signed out already is signed out.
  if (!answer.ok && answer.status !== 401) {
    throw new Error(detail(answer));
  }
  await load();
}

/** Do it, with the button off meanwhile; what goes wrong is shown. */
async function act(deed, button) {
  if (button) {
    button.disabled = true;
  }
  try {
    await deed();
  } catch (error) {
    element("trouble").textContent = error.message;
    show("trouble");
  } finally {
    if (button) {
      button.disabled = false;
    }
  }
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  void act(signIn, form.querySelector("button"));
});
element("sign-out").addEventListener("click", (event) => void act(signOut, event.currentTarget));

await act(load);
