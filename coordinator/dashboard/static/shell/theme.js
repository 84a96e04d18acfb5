// Light or dark: as the system is, or as one has chosen in this browser.

const NAME = "coordinator.theme";

export const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** What was chosen; `system` if nothing was. */
export function chosenTheme() {
  try {
    return localStorage.getItem(NAME) ?? "system";
  } catch {
    return "system";
  }
}

/** Choose, and keep it. */
export function chooseTheme(theme) {
  try {
    if (theme === "system") {
      localStorage.removeItem(NAME);
    } else {
      localStorage.setItem(NAME, theme);
    }
  } catch {
    // A browser that keeps nothing forgets it at the next visit.
  }
  applyTheme(theme);
}

export function applyTheme(theme = chosenTheme()) {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
  dispatchEvent(new Event("theme"));
}
