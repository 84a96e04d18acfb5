"""Bring `.venv` of this checkout to what pyproject.toml asks for. Started by `scripts/setup`.

```
 none, torn or moved ──▶ made anew ─┐
 other needs, or not ours ──────────┴▶ unfinished ──pip──▶ ready for these groups
 ready ──▶ nothing to do
```

A set-up that is killed leaves "unfinished" behind, and the next one begins anew. Of two at once, one waits.
Standard library only: this runs before anything is installed.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "setup.json"
UNFINISHED = "unfinished"

EXTRAS = ("embedded", "fast")
"""They hold compiled code, which not every platform has; without them everything still works."""


def main(groups: Sequence[str]) -> int:
    """Returns the exit code."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    known = project["dependency-groups"]
    if not known.keys() >= set(groups):
        say(f"the dependency groups of pyproject.toml are {', '.join(known)}")
        return 2
    needs = needs_of(project)
    with Path(__file__).open("rb") as lock:
        wait_for(lock)
        stamp = read_stamp()
        has_package = stamp.get("needs") == needs
        if has_package and set(groups) <= set(stamp["groups"]):
            return 0
        groups = sorted(known.keys() & {*groups, *stamp.get("groups", ())})
        requirements = sorted({text for group in groups for text in requirements_of(known, group)})
        if not set_up(requirements, has_package=has_package):
            return 1
        STAMP.write_text(json.dumps({"needs": needs, "groups": groups}))
        return 0


def needs_of(project: dict[str, Any]) -> str:
    """Changes with whatever decides over what is installed; a linter's settings do not."""
    parts = [str(ROOT), project["build-system"], project["project"], project["dependency-groups"]]
    return hashlib.sha256(json.dumps(parts).encode() + Path(__file__).read_bytes()).hexdigest()


def wait_for(lock: IO[bytes]) -> None:
    """Wait until no other set-up runs in this checkout, saying so."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another script is setting up .venv; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)
    # A pip whose set-up was killed keeps the lock until it is done with the directory.
    os.set_inheritable(lock.fileno(), True)  # noqa: FBT003 - its only parameter


def read_stamp() -> dict[str, Any]:
    """What the last set-up wrote at its end; empty if there is nothing that can be used as it is."""
    try:
        stamp: dict[str, Any] = json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return {}
    # An interpreter that was uninstalled leaves a link that leads nowhere.
    is_whole = PYTHON.exists() and (VENV / "bin" / "coordinator").exists()
    return stamp if is_whole else {}


def requirements_of(groups: dict[str, Any], group: str) -> Iterator[str]:
    """What a dependency group (PEP 735) lists, as not every pip can read it."""
    for entry in groups[group]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from requirements_of(groups, entry["include-group"])


def set_up(requirements: Sequence[str], *, has_package: bool) -> bool:
    """Make the environment if there is none, and install into it."""
    say("installing into .venv; the first time takes a minute")
    if not is_worth_keeping():
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        STAMP.write_text(UNFINISHED)
        venv.create(VENV, symlinks=True)
    STAMP.write_text(UNFINISHED)
    pip = find_pip()
    if pip is None:
        say(f"{sys.executable} has neither ensurepip nor pip; on Debian and Ubuntu: apt-get install python3-venv")
        return False
    return install(pip, *requirements) if has_package else install_package(pip, requirements)


def is_worth_keeping() -> bool:
    """Whether there is a whole environment; one that somebody else made is kept, too."""
    activate = VENV / "bin" / "activate"
    is_torn = STAMP.exists() and STAMP.read_text() == UNFINISHED
    # The programs of one that was copied here still start the interpreter of the other place.
    is_moved = activate.exists() and str(VENV) not in activate.read_text()
    return PYTHON.exists() and not is_torn and not is_moved


def find_pip() -> list[str] | None:
    """A pip for the environment: its own, the one that Python carries, or that of the system."""
    own = [str(PYTHON), "-m", "pip"]
    ensure = [str(PYTHON), "-m", "ensurepip", "--default-pip"]
    system = [sys.executable, "-m", "pip", "--python", str(PYTHON)]
    if succeeds(*own, "--version") or succeeds(*ensure):
        return own
    if succeeds(*system, "--version"):
        return system
    if os.environ.get("CI") == "true" and os.geteuid() == 0 and succeeds("apt-get", "update"):
        succeeds("apt-get", "install", "-y", "--no-install-recommends", "python3-venv")
        if succeeds(*ensure):
            return own
    return None


def install_package(pip: list[str], requirements: Sequence[str]) -> bool:
    """The package with its extras; if that fails, without those that cannot be installed here."""
    if install(pip, f"-e.[{','.join(EXTRAS)}]", *requirements, quiet=True):
        return True
    if not install(pip, "-e.", *requirements):
        return False
    for extra in EXTRAS:
        if not install(pip, f"-e.[{extra}]"):
            say(f"going on without the extra '{extra}', which cannot be installed here; to try again, remove .venv")
    return True


def install(pip: list[str], *requirements: str, quiet: bool = False) -> bool:
    """Whether it went well. If it did not, pip's own words are shown, unless `quiet`."""
    options = ["--quiet", "--disable-pip-version-check", "--no-input"]
    return succeeds(*pip, "install", *options, *requirements, quiet=quiet)


def succeeds(*command: str, quiet: bool = True) -> bool:
    """Run it and tell whether it ended well; its output is shown only if it did not."""
    try:
        ended = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            close_fds=False,
            check=False,
        )
    except FileNotFoundError:
        return False
    if ended.returncode and not quiet:
        sys.stderr.buffer.write(ended.stdout)
        sys.stderr.flush()
    return ended.returncode == 0


def say(line: str) -> None:
    """To stderr: stdout belongs to the script that is served."""
    sys.stderr.write(f"setup: {line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
