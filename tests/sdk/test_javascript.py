"""The JavaScript side: its own tests, its types, its size, and what would be published."""

import gzip
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from coordinator import __version__

ROOT = Path(__file__).parent.parent.parent
SDK = ROOT / "coordinator" / "sdk"
TESTS = Path(__file__).parent / "javascript"
MODULES = ROOT / "tests" / "runtimes" / "node_modules"

SIZE_LIMIT_BYTES = 10_000
"""It goes into the bundle of every function."""

LINE_LENGTH = 120


def need(found: object, what: str) -> None:
    """Skip without it; in CI that would pass for a test."""
    if not found:
        assert os.environ.get("CI") != "true", f"in CI {what} is needed"
        pytest.skip(f"{what} is not here: run scripts/test where there is Node")


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a program prints. It has to end well."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout


@pytest.mark.parametrize("path", sorted(TESTS.glob("*.test.mjs")), ids=lambda path: path.name.removesuffix(".test.mjs"))
def test_its_own_tests_pass(path: Path) -> None:
    need(shutil.which("node"), "node")
    need(MODULES.exists(), "tests/runtimes/node_modules")

    told = run("node", "--test", "--test-reporter=tap", path)

    assert int(re.search(r"^# pass (\d+)", told, re.MULTILINE)[1]) > 0
    assert re.search(r"^# skipped 0$", told, re.MULTILINE)


@pytest.mark.parametrize("libraries", ["es2023", "es2023,dom"])
def test_its_types_allow_what_is_right_and_refuse_what_is_wrong(libraries: str) -> None:
    need(shutil.which("node"), "node")
    need(MODULES.exists(), "tests/runtimes/node_modules")

    run("node", MODULES / "typescript" / "bin" / "tsc", "--project", TESTS, "--lib", libraries)


def test_every_export_has_its_type() -> None:
    exported = r"^export (?:class|function|const) (\w+)"
    named = {
        name: re.findall(exported, (SDK / name).read_text(), re.MULTILINE)
        for name in ("coordinator.mjs", "coordinator.d.mts")
    }

    assert set(named["coordinator.mjs"]) == set(named["coordinator.d.mts"])
    assert "wrap" in named["coordinator.mjs"]


def test_it_is_small() -> None:
    assert len(gzip.compress((SDK / "coordinator.mjs").read_bytes(), 9)) < SIZE_LIMIT_BYTES


def test_it_stands_alone() -> None:
    """One file is copied, and imports nothing but what Node 18 hides."""
    assert re.findall(r"^import\b|\bfrom \"|\brequire\(", (SDK / "coordinator.mjs").read_text(), re.MULTILINE) == []


def test_its_lines_are_not_too_long() -> None:
    files = [path for top in (SDK, TESTS, TESTS.parent.parent / "runtimes" / "apps") for path in top.rglob("*.m[jt]s")]
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(line) > LINE_LENGTH
    ]
    assert long == []


def test_its_version_is_that_of_the_coordinator() -> None:
    assert json.loads((SDK / "package.json").read_text())["version"] == __version__
    assert f'export const VERSION = "{__version__}";' in (SDK / "coordinator.mjs").read_text()


def test_what_would_be_published_is_the_module_and_its_types() -> None:
    need(shutil.which("npm"), "npm")

    (packed,) = json.loads(run("npm", "pack", "--dry-run", "--json", cwd=SDK))

    assert (packed["name"], packed["version"]) == ("coordinator-sdk", __version__)
    assert sorted(file["path"] for file in packed["files"]) == ["coordinator.d.mts", "coordinator.mjs", "package.json"]


def test_the_package_is_imported_by_its_name(tmp_path: Path) -> None:
    need(shutil.which("npm"), "npm")
    (archive,) = json.loads(run("npm", "pack", "--json", "--pack-destination", tmp_path, cwd=SDK))
    package = tmp_path / "node_modules" / "coordinator-sdk"
    package.mkdir(parents=True)
    run("tar", "-xzf", tmp_path / archive["filename"], "-C", package, "--strip-components", "1")

    script = "import { VERSION } from 'coordinator-sdk'; console.log(VERSION)"
    assert run("node", "--input-type=module", "-e", script, cwd=tmp_path) == f"{__version__}\n"


def test_nothing_but_the_registry_is_needed_to_install_the_runtimes() -> None:
    """No address of a mirror, no other place, and no script that fetches more."""
    folder = ROOT / "tests" / "runtimes"
    lock = json.loads((folder / "package-lock.json").read_text())["packages"]

    assert [name for name, package in lock.items() if "resolved" in package] == []
    assert [name for name, package in lock.items() if name and "integrity" not in package] == []
    assert "ignore-scripts=true" in (folder / ".npmrc").read_text()
    wanted = json.loads((folder / "package.json").read_text())["devDependencies"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in wanted.values())
