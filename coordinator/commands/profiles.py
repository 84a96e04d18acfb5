"""Which coordinator is meant, and who asks: flags, the environment, or a profile that `coordinator login` has written.

A token goes where it was given for: that of a profile to the address of the profile, and nowhere else.
"""

import getpass
import json
import os
import re
import stat
import sys
import tomllib
from argparse import Namespace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from coordinator.commands import clock
from coordinator.commands.endings import DONE, NOT_FOUND, USAGE, Ending, code_of, line_of
from coordinator.commands.writing import Column, Writer
from coordinator.sdk.for_commands import CommandClient
from coordinator.sdk.sending import CoordinatorError

URL_DEFAULT = "http://127.0.0.1:8000"
"""Where `coordinator dev` and `serve` listen, if they are not told otherwise."""

TIMEOUT_S = 60.0
"""A thousand jobs, or a purge, may take a busy coordinator longer than what programs wait for."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,1024}", re.ASCII)


class Place(NamedTuple):
    """A coordinator. `origin` says where the address was found."""

    url: str
    token: str
    origin: str


class Profiles(NamedTuple):
    """What the file holds: the name of the one that is used if none is named, and all by their names."""

    default: str
    places: dict[str, Place]


def place_of(options: Namespace) -> Place:
    """The coordinator that is meant. Raises `Ending`."""
    token = options.token or os.environ.get("COORDINATOR_TOKEN", "")
    if options.url:
        return Place(_checked_url(options.url, "--url"), token, "--url")
    name = options.profile or ""
    if not name and (url := os.environ.get("COORDINATOR_URL")):
        return Place(_checked_url(url, "COORDINATOR_URL"), token, "COORDINATOR_URL")
    name = name or os.environ.get("COORDINATOR_PROFILE", "")
    known = read_profiles()
    chosen = name or known.default
    if chosen not in known.places:
        if name:
            raise Ending(NOT_FOUND, f"there is no profile {name!r}; coordinator profiles lists them, login makes one.")
        return Place(URL_DEFAULT, token, "the default")
    place = known.places[chosen]
    return place._replace(token=options.token or place.token)


def connect(place: Place) -> CommandClient:
    """A client of it. An empty token is none, whatever the environment holds."""
    client = CommandClient(place.url, place.token, timeout=TIMEOUT_S)
    client.on_headers(clock.heed)
    return client


def run(options: Namespace) -> int:
    """`login`, and what is done with profiles."""
    if options.command == "login":
        return _login(options)
    known, writer = read_profiles(), Writer.of(options)
    if options.act == "list":
        writer.many(
            [{"name": name, "url": place.url, "isDefault": name == known.default} for name, place in _sorted(known)],
            [
                Column("", lambda one: "*" if one["isDefault"] else " "),
                Column("NAME", lambda one: str(one["name"])),
                Column("URL", lambda one: str(one["url"])),
            ],
            name="name",
        )
        if not known.places:
            writer.note("There are no profiles yet; make one: coordinator login https://coordinator.example.com")
        return DONE
    if options.name not in known.places:
        raise Ending(NOT_FOUND, f"there is no profile {options.name!r}; coordinator profiles lists them.")
    if options.act == "remove":
        del known.places[options.name]
        _write(known._replace(default="" if known.default == options.name else known.default))
        writer.did({"name": options.name, "removed": True}, f"removed {options.name}")
    else:
        _write(known._replace(default=options.name))
        writer.did({"name": options.name, "isDefault": True}, f"{options.name} is used when no other is named")
    return DONE


def _login(options: Namespace) -> int:
    writer = Writer.of(options)
    asked = options.address or options.url or os.environ.get("COORDINATOR_URL") or URL_DEFAULT
    url = _checked_url(asked, "the address")
    name = options.profile or "default"
    if not _NAME.fullmatch(name):
        raise Ending(USAGE, f"--profile {name!r} is no name: letters, digits and _ . - up to 64, a letter first.")
    token = options.token or _asked_token(url)
    if token and not _TOKEN.fullmatch(token):
        raise Ending(USAGE, "this token cannot be sent: it has spaces, or characters beyond ASCII.")
    session = _session(Place(url, token, "login"))
    if urlsplit(url).scheme == "http" and urlsplit(url).hostname not in {"127.0.0.1", "localhost", "::1"} and token:
        writer.note(f"Warning: {url} is no https; whoever is on the way can read the token.")
    known = read_profiles()
    known.places[name] = Place(url, token, name)
    path = _write(known._replace(default=known.default or name))
    who = "everybody on this machine" if session["isOpen"] else session["name"] or "a token of the settings"
    told = {"profile": name, "url": url, "session": session}
    writer.did(told, f"{name}: {url} as {who}, who may {', '.join(session['scopes']) or 'do everything'} ({path})")
    return DONE


def _session(place: Place) -> dict[str, Any]:
    """Who one is there. Raises `Ending`: the profile that would tell the address is not there yet."""
    try:
        with connect(place) as client:
            told: dict[str, Any] = client.request("GET", "/session")
    except CoordinatorError as error:
        raise Ending(code_of(error), line_of(error, place.url)) from None
    return told


def _asked_token(url: str) -> str:
    if sys.stdin.isatty():
        return getpass.getpass(f"Token for {url} (none, if it wants none): ").strip()
    return sys.stdin.readline().strip()


def profiles_path() -> Path:
    """Where the profiles are, by the XDG base directories."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(home) if Path(home).is_absolute() else Path.home() / ".config"
    return root / "coordinator" / "profiles.toml"


def read_profiles() -> Profiles:
    """The profiles; none if there is no file. Raises `Ending`."""
    path = profiles_path()
    try:
        text = path.read_text(encoding="utf-8")
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return Profiles("", {})
    except (OSError, UnicodeDecodeError) as error:
        raise Ending(USAGE, f"{path} cannot be read: {error}.") from None
    if mode & 0o077:
        raise Ending(USAGE, f"{path} holds tokens, and others can read it. Run: chmod 600 {path}")
    try:
        return _profiles(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        remedy = "Mend it, or remove it and run coordinator login."
        raise Ending(USAGE, f"{path} is no file of profiles: {error}. {remedy}") from None


def _profiles(told: dict[str, Any]) -> Profiles:
    found = told.get("profiles", {}).items()
    places = {name: Place(str(one["url"]), str(one.get("token", "")), name) for name, one in found}
    return Profiles(str(told.get("default", "")), places)


def _write(known: Profiles) -> Path:
    """Readable by nobody else at any moment, and whole at any moment."""
    path = profiles_path()
    lines = ["# Written by coordinator login. It holds tokens: keep it to yourself.", ""]
    if known.default:
        lines += [f"default = {_quoted(known.default)}", ""]
    for name, place in _sorted(known):
        lines += [f"[profiles.{_quoted(name)}]", f"url = {_quoted(place.url)}"]
        lines += [f"token = {_quoted(place.token)}"] if place.token else []
        lines.append("")
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_suffix(f".{os.getpid()}")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _sorted(known: Profiles) -> list[tuple[str, Place]]:
    return sorted(known.places.items())


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for surrogate pairs; DEL is the one character that JSON lets stand.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _checked_url(url: str, given_as: str) -> str:
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or True)
    except ValueError:
        is_url = False
    if not is_url:
        remedy = f"it is like https://coordinator.example.com or {URL_DEFAULT}"
        raise Ending(USAGE, f"{given_as} {url!r} is no address; {remedy}")
    return url.rstrip("/")
