"""What a decoder finds wrong with a body, told in the words of its caller: the field, and what would be right.

The decoder names neither the choices of an enum nor the key of an object whose keys are names; both are found here, in
the types and in the body.
"""

import contextlib
import difflib
import re
from collections.abc import Iterator
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Raw, Struct

from coordinator.errors import Invalid, joined

_UNKNOWN = re.compile(r"Object contains unknown field `(?P<field>.*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(?P<field>.*)`")
_ENUM = re.compile(r"Invalid (?:enum )?value (?P<value>.*)", re.DOTALL)
_AT = re.compile(r"^(?P<message>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\[[^\]]*\]|[^.\[]+")
_TYPES = re.compile(r"`(?P<types>\w+(?: \| \w+)*)`")
_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
_ANY_KEY = "[...]"
_SHOWN = 80


def fault(message: str, hint: object, raw: bytes | None = None, where: str = "") -> Invalid:
    """The refusal of what was to be of the type `hint`, with what the decoder says of it.

    `raw` is the body, if it may hold objects whose keys are names; `where` is the way to it from the caller's own.
    """
    found = _AT.match(message)
    text, path = (found["message"], found["path"] or "") if found else (message, "")
    if raw is not None and _ANY_KEY in path:
        # The decoder stops at what it finds first: behind it there may be what is no JSON at all.
        with contextlib.suppress(msgspec.DecodeError, RecursionError):
            if named := _in_entry(path.partition(_ANY_KEY)[0], hint, raw, where):
                return named
    return _told(text, _joined(where, path), _at(hint, path))


def parts(hint: object) -> Iterator[Any]:
    """The types that a field may have."""
    if get_origin(hint) is Annotated:
        yield from parts(get_args(hint)[0])
    elif get_origin(hint) in (Union, UnionType):
        for one in get_args(hint):
            yield from parts(one)
    else:
        yield hint


def _told(text: str, path: str, hint: object) -> Invalid:
    """A fault at a path, where something of the type `hint` was to be."""
    if unknown := _UNKNOWN.match(text):
        if told := _elsewhere_of(hint).get(unknown["field"]):
            return Invalid(_joined(path, unknown["field"]), told)
        # Of a union another shape may have the very field.
        fields = [name for name in _fields_of(hint) if name != unknown["field"]]
        near = difflib.get_close_matches(unknown["field"], fields, 1)
        remedy = f"; did you mean {near[0]}?" if near else ""
        return Invalid(_joined(path, unknown["field"]), f"is not a field{remedy}")
    if missing := _MISSING.match(text):
        return Invalid(_joined(path, missing["field"]), "is required")
    if enum := _ENUM.match(text):
        return Invalid(path, f"{enum['value'][:_SHOWN]} is none of {', '.join(_choices_of(hint))}")
    if "{1,64}$" in text:
        return Invalid(path, "is not a tag: up to 64 characters without spaces and commas")
    if "matching regex" in text:
        names = "up to 128 letters, digits and _ . : - (and / in a worker's), a letter or digit first"
        return Invalid(path, f"is not a name: {names}")
    text = _TYPES.sub(_in_words, text)
    return Invalid(path or "body", text[:1].lower() + text[1:])


def _in_words(types: re.Match[str]) -> str:
    """`int | null` of the decoder, as people say it."""
    return joined([_WORDS.get(one, one) for one in types["types"].split(" | ")])


def _in_entry(path: str, hint: object, raw: bytes, where: str) -> Invalid | None:
    """The fault of the first entry that has one, of the object at this path."""
    for step in _STEP.findall(path):
        if step.startswith("["):
            return None  # No body of ours has such an object in a list.
        raw = bytes(msgspec.json.decode(raw, type=dict[str, Raw])[step])
    entry_hint = _step(_at(hint, path), _ANY_KEY)
    for key, entry in msgspec.json.decode(raw, type=dict[str, Raw]).items():
        try:
            msgspec.json.decode(entry, type=entry_hint)
        except msgspec.ValidationError as error:
            return fault(str(error), entry_hint, bytes(entry), _joined(where, f"{path}.{key[:_SHOWN]}"))
    return None


def _at(hint: object, path: str) -> object:
    """The type of what is at this path; `Any` if that is not known."""
    for step in _STEP.findall(path):
        hint = _step(hint, step)
    return hint


def _step(hint: object, step: str) -> object:
    configs = [shape.__struct_config__ for shape in _shapes_of(hint)]
    if tags := tuple(config.tag for config in configs if config.tag_field == step):
        return Literal.__getitem__(tags)
    for one in parts(hint):
        if step.startswith("[") and get_origin(one) in (list, tuple, dict):
            inner: object = get_args(one)[-1]
            return inner
        if isinstance(one, type) and issubclass(one, Struct):
            fields = {field.encode_name: field.type for field in msgspec.structs.fields(one)}
            if step in fields:
                return fields[step]
    return Any


def _fields_of(hint: object) -> tuple[str, ...]:
    """The fields that an object may have, by the names that callers use."""
    return tuple(name for shape in _shapes_of(hint) for name in shape.__struct_encode_fields__)


def _elsewhere_of(hint: object) -> dict[str, str]:
    """Fields that the object cannot have although callers know them, and what is said of each."""
    return {name: told for shape in _shapes_of(hint) for name, told in getattr(shape, "elsewhere", {}).items()}


def _shapes_of(hint: object) -> list[type[Struct]]:
    return [one for one in parts(hint) if isinstance(one, type) and issubclass(one, Struct)]


def _choices_of(hint: object) -> list[str]:
    """The words of an enum, or of the keys of an object that has no others."""
    choices: list[str] = []
    for one in parts(hint):
        literal = get_args(one)[0] if get_origin(one) is dict else one
        if get_origin(literal) is Literal:
            choices += map(str, get_args(literal))
    return choices


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path and field else path or field
