"""A search through every state that a small model can reach, breadth first, so that what it finds is told shortly.

```
 first ──steps──▶ state ──steps──▶ state …      each step and each new state is looked at: is something broken?
                                                 then: from which states can nothing of our own lead to an end?
```

A model says what may happen next in any state; here is nothing about jobs. A state is a tuple of tuples.
"""

import time
from array import array
from collections.abc import Hashable, Iterable, Iterator
from typing import Any, NamedTuple, Protocol

NO_STUCK = "from every state an end can be reached"
"""The one property that is about what can still happen."""

Step = tuple[Any, ...]
"""Who did what to which, in words; the first is who."""


class Model(Protocol):
    """What is searched."""

    first: Any

    def steps(self, state: Any) -> Iterable[tuple[Step, Any]]:
        """All that may happen next."""

    def form(self, state: Any) -> Hashable:
        """The same for states that differ in nothing that matters, as when two replicas change places."""

    def broken_by(self, before: Any, step: Step, after: Any) -> str | None:
        """The property that this step breaks."""

    def broken_in(self, state: Any) -> str | None:
        """The property that does not hold in this state."""

    def is_over(self, state: Any) -> bool:
        """Whether this is an end."""

    def is_own(self, step: Step) -> bool:
        """Whether the step will come of itself: no person, no luck and no fault is needed for it."""


class Violation(NamedTuple):
    """What was broken, by which steps from the beginning, and how it looked at their end."""

    name: str
    steps: list[Step]
    state: Any

    def __str__(self) -> str:
        lines = (f"{number:3}. {' '.join(map(str, step))}" for number, step in enumerate(self.steps, 1))
        return "\n".join([f"broken: {self.name}", *lines, f"then: {self.state}"])


class Found(NamedTuple):
    """How much there was, in how many seconds of the processor, and what was wrong in it: None for nothing."""

    states: int
    transitions: int
    seconds: float
    violation: Violation | None

    def __str__(self) -> str:
        rest = f"\n{self.violation}" if self.violation else ""
        return f"{self.states} states, {self.transitions} transitions, {self.seconds:.1f} s{rest}"


class Graph:
    """Every state that was reached, by number, and the step by which it was reached first."""

    def __init__(self) -> None:
        self.number: dict[Hashable, int] = {}
        self.parent = array("I")
        self.step: list[Step] = []
        self.own = (array("I"), array("I"))
        self.ends = bytearray()

    def add(self, form: Hashable, parent: int, step: Step, is_end: bool) -> int:
        number = len(self.step)
        self.number[form] = number
        self.parent.append(parent)
        self.step.append(step)
        self.ends.append(is_end)
        return number

    def way_to(self, number: int) -> list[Step]:
        """The steps from the beginning."""
        steps = []
        while number:
            steps.append(self.step[number])
            number = self.parent[number]
        return steps[::-1]

    def stuck(self) -> int | None:
        """The first state from which no end can be reached by steps of our own."""
        leads, (sources, targets) = bytearray(self.ends), self.own
        changed = True
        while changed:
            changed = False
            # A step mostly leads to what was found later, so that one pass from the back finds nearly all.
            for source, target in zip(reversed(sources), reversed(targets), strict=True):
                if leads[target] and not leads[source]:
                    leads[source] = changed = True
        number = leads.find(0)
        return None if number < 0 else number


def search(model: Model, *, limit: int = 50_000_000) -> Found:
    """Go through all of it, up to the first violation. `limit` states are more than anybody means to search."""
    began, graph, transitions = time.process_time(), Graph(), 0
    frontier = [(graph.add(model.form(model.first), 0, (), model.is_over(model.first)), model.first)]

    def found(violation: Violation | None) -> Found:
        return Found(len(graph.step), transitions, time.process_time() - began, violation)

    known, own_from, own_to, is_own, form = graph.number, *graph.own, model.is_own, model.form
    while frontier:
        behind: list[tuple[int, Any]] = []
        for number, state in frontier:
            for step, after in model.steps(state):
                transitions += 1
                broken = model.broken_by(state, step, after)
                shape = form(after)
                target = known.get(shape)
                if target is None:
                    broken = broken or model.broken_in(after)
                    target = graph.add(shape, number, step, model.is_over(after))
                    behind.append((target, after))
                if broken:
                    return found(Violation(broken, [*graph.way_to(number), step], after))
                if is_own(step):
                    own_from.append(number)
                    own_to.append(target)
        frontier = behind
        assert len(graph.step) <= limit, f"more than {limit} states"
    stuck = graph.stuck()
    return found(None if stuck is None else Violation(NO_STUCK, graph.way_to(stuck), state_at(model, graph, stuck)))


def state_at(model: Model, graph: Graph, number: int) -> Any:
    """The state that its steps lead to: they are not all kept."""
    return [model.first, *(after for _, after in walk(model, graph.way_to(number)))][-1]


def walk(model: Model, steps: Iterable[Step]) -> Iterator[tuple[Any, Any]]:
    """The states along a way, each with the one before it."""
    state = model.first
    for step in steps:
        before, state = state, next(after for made, after in model.steps(state) if made == step)
        yield before, state
