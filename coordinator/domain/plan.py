"""What a declaration changes: from what is declared and what there is to what is to be done, kind by kind.

Whoever declares is named by an owner label. What bears the label of another is never touched; what bears none is taken
over when it is declared; what bears ours and is declared no more is deleted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Plan(Generic[Thing]):
    """Names, each in one of the lists; `foreign` are those that are declared and belong to another owner.

    `changes` are the things themselves of those that are updated: what is there, and what is declared.
    """

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    foreign: list[tuple[str, str]] = field(default_factory=list)
    changes: dict[str, tuple[Thing, Thing]] = field(default_factory=dict, compare=False)


def plan(owner: str, declared: Mapping[str, Thing], existing: Mapping[str, tuple[str | None, Thing]]) -> Plan[Thing]:
    """What makes `existing`, pairs of a label and a thing, what is `declared`."""
    made: Plan[Thing] = Plan()
    for name in sorted(declared):
        if name not in existing:
            made.created.append(name)
            continue
        label, thing = existing[name]
        if label is not None and label != owner:
            made.foreign.append((name, label))
        elif label is None or thing != declared[name]:
            made.updated.append(name)
            made.changes[name] = thing, declared[name]
        else:
            made.unchanged.append(name)
    made.deleted.extend(name for name in sorted(existing) if existing[name][0] == owner and name not in declared)
    return made
