"""What a declaration changes, from what is declared and what there is."""

from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.plan import Plan, plan

NAMES = st.sampled_from("abcdef")
DECLARED = st.dictionaries(NAMES, st.integers(0, 2))
EXISTING = st.dictionaries(NAMES, st.tuples(st.sampled_from([None, "us", "them"]), st.integers(0, 2)))


def test_each_name_comes_to_what_is_to_be_done_with_it():
    declared = {"new": 1, "same": 1, "other": 2, "unlabelled": 1, "theirs": 1}
    existing = {
        "same": ("us", 1),
        "other": ("us", 1),
        "unlabelled": (None, 1),
        "theirs": ("them", 1),
        "gone": ("us", 1),
        "left-alone": (None, 1),
        "not-ours": ("them", 1),
    }

    assert plan("us", declared, existing) == Plan(
        created=["new"],
        updated=["other", "unlabelled"],
        deleted=["gone"],
        unchanged=["same"],
        foreign=[("theirs", "them")],
    )


@given(declared=DECLARED, existing=EXISTING)
def test_every_declared_name_is_in_one_list_and_nothing_else_of_others_is_in_any(declared, existing):
    made = plan("us", declared, existing)

    named = [*made.created, *made.updated, *made.unchanged, *(name for name, _ in made.foreign)]
    assert sorted(named) == sorted(declared)
    assert {name for name, (label, _) in existing.items() if label == "us"} - set(declared) == set(made.deleted)


@given(declared=DECLARED, existing=EXISTING)
def test_what_was_done_once_is_unchanged_the_next_time(declared, existing):
    made = plan("us", declared, existing)
    if made.foreign:
        return
    after = {name: found for name, found in existing.items() if name not in made.deleted}
    after |= {name: ("us", declared[name]) for name in (*made.created, *made.updated)}

    assert plan("us", declared, after) == Plan(unchanged=sorted(declared))
