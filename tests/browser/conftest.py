"""A real browser, and the coordinator that it looks at. The browser is the machine's: `chromium`."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Page, sync_playwright

from tests.coordinator_process import coordinator_process

ADMIN = "token-of-the-administrator"
LIMIT_MS = 15_000

_NOTE_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (found) => {
  window.violations.push(`${found.effectiveDirective} ${found.blockedURI}`);
});
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. Where there is none the tests are skipped, but in CI they fail: a skip would pass for a test."""
    path = shutil.which("chromium")
    if path is None:
        why = "no chromium on this machine: what the dashboard does in a browser is not tested"
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    # Not for the session: while it runs, tests that are asynchronous cannot.
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path)
        yield started
        started.close()


@pytest.fixture(scope="module")
def coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a coordinator with a token."""
    with coordinator_process(tmp_path_factory.mktemp("store") / "data", tokens=ADMIN) as url:
        yield url


@pytest.fixture(scope="module")
def open_coordinator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one without tokens."""
    with coordinator_process(tmp_path_factory.mktemp("store") / "data") as url:
        yield url


@dataclass
class Watched:
    """A page, and what it should not do."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def heed(self, message: ConsoleMessage) -> None:
        """Chromium itself writes a line for each refused request: those are told apart from errors of the page."""
        if message.text.startswith("Failed to load resource"):
            self.refused.append(f"{message.text.rpartition('status of ')[2]} {message.location['url']}")
        elif message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def dismiss(self, dialog: Dialog) -> None:
        """The page never opens one."""
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def violations(self) -> list[str]:
        """What the policy has kept this document from, since it was loaded."""
        found: list[str] = self.page.evaluate("window.violations")
        return found


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    """A page in a browser that knows nothing yet. It fails a test whose page complains."""
    context = browser.new_context()
    context.set_default_timeout(LIMIT_MS)
    context.add_init_script(_NOTE_VIOLATIONS)
    found = Watched(context.new_page())
    found.page.on("console", found.heed)
    found.page.on("pageerror", lambda error: found.complaints.append(str(error)))
    found.page.on("dialog", found.dismiss)
    yield found
    violations = found.violations()
    context.close()
    assert (found.complaints, violations) == ([], [])
