"""`sync plan|apply`: all workers, queues and schedules of an application, as a file declares them."""

from argparse import Namespace
from typing import Any

from coordinator.commands.asking import agree
from coordinator.commands.declarations import Declared, read_declaration, written
from coordinator.commands.endings import DONE, USAGE, Ending
from coordinator.commands.profiles import connect, place_of
from coordinator.commands.words import clean
from coordinator.commands.writing import Writer

CHANGES_PLANNED = 2
"""The exit code of a plan that would change something, where it is asked for: as that of terraform."""

_CHANGES = ("created", "updated", "deleted")
_SIGNS = {"created": ("+", "32"), "updated": ("~", "33"), "deleted": ("-", "31")}


def run(options: Namespace) -> int:
    """Do what was asked for."""
    writer = Writer.of(options)
    declared = _as_json(read_declaration(options.file))
    if options.owner:
        declared = {**declared, "owner": options.owner}
    if "owner" not in declared:
        raise Ending(USAGE, "the declaration has no owner: add one, such as the application's name, or --owner.")
    with connect(place_of(options)) as client:
        plan = client.request("POST", "/sync", declared, query={"dryRun": "true"})
        has_changes = any(plan[change] for change in _CHANGES)
        if options.act == "plan" or not writer.as_json:
            _tell(plan, writer, is_plan=options.act == "plan")
        if options.act == "plan":
            return CHANGES_PLANNED if has_changes and options.detailed_exitcode else DONE
        if has_changes:
            agree(options, f"Apply {_counted(plan)} as {declared['owner']}?")
            plan = client.request("POST", "/sync", declared)
        writer.did(plan, f"applied: {_counted(plan)}" if has_changes else "nothing had to be changed")
    return DONE


def _tell(plan: dict[str, Any], writer: Writer, *, is_plan: bool) -> None:
    """The plan as lines, or as the API has it."""
    if writer.as_json:
        writer.did(plan, "")
        return
    if writer.is_quiet:
        return
    for change in _CHANGES:
        sign, style = _SIGNS[change]
        for one in plan[change]:
            writer.line(writer.painted(f"{sign} {_title(one)}", style))
            for field, before, wanted in one.get("fields", ()):
                told = f"{written(field, before)} -> {written(field, wanted)}"
                writer.line(f"    {clean(field.removesuffix('Ms'))}: {told}")
    if is_plan:
        has_changes = any(plan[change] for change in _CHANGES)
        same = f"nothing to change ({len(plan['unchanged'])} the same)"
        writer.line(f"plan: {_counted(plan)}" if has_changes else same)


def _title(one: dict[str, str]) -> str:
    return clean(f"{one['kind'].removesuffix('s')} {one['name']}")


def _counted(plan: dict[str, Any]) -> str:
    return ", ".join(f"{len(plan[change])} {change}" for change in _CHANGES if plan[change])


def _as_json(declared: Declared) -> Declared:
    """TOML and YAML have dates of their own; the coordinator reads them as text."""
    return {name: _plain(value) for name, value in declared.items()}


def _plain(value: Any) -> Any:  # noqa: ANN401 - what a file holds
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value
