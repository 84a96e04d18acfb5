"""What `top` shows of one look at a coordinator."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from coordinator.commands.grammar_parts import STATES
from coordinator.commands.words import ago, brief, clean, error_text, number, span
from coordinator.commands.writing import Thing

_BARS = "▁▂▃▄▅▆▇█"
_COLOURS = {"created": "cyan", "started": "blue", "succeeded": "green", "failed": "yellow", "dead": "red"}
_QUEUES, _FAILURES = 20, 8
"""Rows; the busiest come first."""

_NAME_MOST = 40
_GAP = 2
"""Characters between two columns."""

_FIRST_TO_GO = ("succeeded each minute", ">cancelled", ">succeeded", ">scheduled", ">retrying", ">latency")
"""Columns of queues, the least important first."""

_BARS_OF_QUEUE = 20
"""As wide as their title."""

_BEFORE_BARS, _BARS_LEAST = 36, 10
"""Characters of a line of the throughput before its bars, and bars that are shown however narrow it is."""


class Looked(NamedTuple):
    """The answers of `GET /stat` and `GET /dead`; and why they are those of before."""

    stat: dict[str, Any]
    dead: dict[str, Any]
    problem: str = ""


def frame(looked: Looked, url: str, width: int, *, is_live: bool = True) -> RenderableType:
    """All of it, one below the other, as much as lines of this width have room for."""
    stat = looked.stat
    parts: list[RenderableType] = [_heading(stat, url, is_live=is_live)]
    if looked.problem:
        parts.append(Text(f"these are old: {looked.problem}", style="bold red"))
    tables = (_throughput(stat, width), _queues(stat, width), _failures(looked.dead))
    return Group(*parts, *(part for table in tables for part in (Text(), table)))


def _heading(stat: Thing, url: str, *, is_live: bool) -> Text:
    told = Text.assemble(("coordinator ", "bold"), clean(url), "  ", clean(stat["now"]), "  q quits" if is_live else "")
    counts = (f"{number(stat['counts'][state])} {state}" for state in STATES if stat["counts"][state])
    told.append(f"\n{', '.join(counts) or 'no jobs'}")
    oldest, store, replicas = stat["oldestDue"], stat["store"], stat["replicas"]
    if oldest:
        told.append(f"\noldest due: {span(oldest['latencyMs'])} late in {clean(oldest['queue'])}")
    if replicas:
        told.append(f"\nreplicas: {len(replicas['items'])}")
        if replicas["unled"]:
            told.append(f", shards led by nobody: {len(replicas['unled'])}", style="red")
    if store:
        percent = "" if store["percent"] is None else f" ({store['percent']:.0f} % of what it may take)"
        told.append(f"  store: {store['usedBytes'] / 1024 / 1024:.0f} MiB{percent}")
    return told


def _throughput(stat: Thing, width: int) -> Table:
    # The title and two numbers stand before the bars; the newest minutes are the last to go.
    shown = min(stat["minutes"], max(_BARS_LEAST, width - _BEFORE_BARS))
    table = _table(f"{shown} minutes", ">last", ">before", "each minute")
    for name, colour in _COLOURS.items():
        series = stat["series"][name][-shown:]
        # The last minute is not over yet.
        before = series[-2] if len(series) > 1 else 0
        table.add_row(name, number(series[-1]), number(before), Text(spark(series), style=colour))
    for name, of in (("wait p95", "waitP95Ms"), ("run p95", "runP95Ms")):
        series = stat["series"][of][-shown:]
        table.add_row(name, span(series[-1]), span(series[-2] if len(series) > 1 else None), spark(series))
    return table


def _queues(stat: Thing, width: int) -> Table:
    ranked = sorted(stat["queues"], key=_business, reverse=True)
    shown = ranked[:_QUEUES]
    columns = _fitting(
        {"queue": [_name(queue) for queue in shown]}
        | {f">{state}": [number(queue["counts"][state]) for queue in shown] for state in STATES}
        | {">latency": [span(queue["latencyMs"]) for queue in shown]}
        | {"succeeded each minute": [spark(queue["series"]["succeeded"][-_BARS_OF_QUEUE:]) for queue in shown]},
        width,
    )
    table = _table(*columns)
    for queue, *cells in zip(shown, *columns.values(), strict=True):
        table.add_row(*cells, style="yellow" if queue["paused"] else "")
    if len(ranked) > _QUEUES:
        table.caption = f"and {len(ranked) - _QUEUES} queues that are less busy"
    return table


def _name(queue: Thing) -> str:
    return f"{brief(queue['name'], _NAME_MOST)}{' (paused)' if queue['paused'] else ''}"


def _fitting(columns: dict[str, list[str]], width: int) -> dict[str, list[str]]:
    """The columns, by their titles, that lines of this width have room for; the others fall away whole."""
    left = dict(columns)
    for title in _FIRST_TO_GO:
        widths = (max(map(len, (name.lstrip(">"), *cells))) for name, cells in left.items())
        if sum(widths) + _GAP * (len(left) - 1) <= width:
            break
        del left[title]
    return left


def _business(queue: Thing) -> tuple[int, int, int]:
    counts = queue["counts"]
    return counts["running"] + counts["queued"], sum(queue["series"]["succeeded"]), counts["retrying"]


def _failures(dead: Thing) -> Table:
    table = _table(">dead", "last", "queue", "worker", "error")
    groups = sorted(dead["groups"], key=lambda group: str(group["lastAt"]), reverse=True)
    for group in groups[:_FAILURES]:
        table.add_row(
            Text(number(group["count"]), style="red"),
            ago(group["lastAt"]),
            Text(clean(group["queue"])),
            Text(clean(group["worker"])),
            Text(error_text(group["error"]), overflow="ellipsis", no_wrap=True),
        )
    return table


def _table(*titles: str) -> Table:
    """A title with `>` is that of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title.lstrip(">"), justify="right" if title.startswith(">") else "left", no_wrap=True)
    return table


def spark(series: Sequence[float | None]) -> str:
    """A row of bars, as high as the values are beside the highest."""
    most = max((value or 0 for value in series), default=0)
    if not most:
        return " " * len(series)
    step = len(_BARS) - 1
    return "".join(" " if not value else _BARS[round(step * value / most)] for value in series)
