// Who has signed in, and what that token is for. The server decides; here is only what is worth showing.

let current = null;

export function setSession(session) {
  current = session;
}

export const session = () => current;

/** Whether the token is for it. */
export const can = (scope) => Boolean(current && (current.scopes.includes(scope) || current.scopes.includes("admin")));

/** The queues that the token is for, by their whole names; none if it is for all. */
export const heldQueues = () => (current?.queues ?? []).filter((name) => !name.endsWith("*"));

/** Whether the token is for some queues only. */
export const isHeld = () => Boolean(current?.queues.length);
