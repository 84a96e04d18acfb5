// Where one is: all of it stands in the address (`#/jobs?state=dead`), so it can be sent to others, and Back works.

import { useEffect, useState } from "./view.js";

/** The parts of the path, and the query as an object. */
export function routeOf(hash) {
  const [path, search = ""] = hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  return {
    parts: path.split("/").filter(Boolean).map(decoded),
    query: Object.fromEntries(new URLSearchParams(search)),
    hash,
  };
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** An address: parts that may hold anything, and what of the query is set. */
export function to(parts, query = {}) {
  const set = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const search = new URLSearchParams(set).toString();
  return `#/${[parts].flat().map(encodeURIComponent).join("/")}${search ? `?${search}` : ""}`;
}

/** Go there. With `replace`, Back does not come here again. */
export function go(address, { replace = false } = {}) {
  if (address === location.hash) {
    return;
  }
  if (replace) {
    history.replaceState(null, "", address);
    dispatchEvent(new HashChangeEvent("hashchange"));
  } else {
    location.hash = address;
  }
}

/** The route, as it changes. */
export function useRoute() {
  const [route, setRoute] = useState(() => routeOf(location.hash));
  useEffect(() => {
    const heed = () => setRoute(routeOf(location.hash));
    addEventListener("hashchange", heed);
    heed();
    return () => removeEventListener("hashchange", heed);
  }, []);
  return route;
}
