"""What the store's machine draws: how jobs are made, how they end, and which limits hold."""

from hypothesis import strategies as st

from coordinator.domain.queue import KeyLimits, Rate, Retention
from tests.store.model import FINAL, HOLDERS, LANES

ENDINGS = ["succeed", "retry", "lost", "snooze", "throttle", "die", "cancel"]
HOLDS = ["renew_leases", "detach_jobs", "release_jobs"]

lanes = st.sampled_from(LANES)
holders = st.sampled_from(HOLDERS)
endings = st.sampled_from(ENDINGS)
acts = st.sampled_from([*HOLDS, "beat", "lapse", *ENDINGS])
ways = st.sampled_from(["both", "both", "forged", "shifted", "number", "none"])
delays = st.sampled_from([0, 0, 0, 1, 700, 4000, 20_000])
rates = st.builds(Rate, limit=st.integers(1, 5), period_ms=st.sampled_from([100, 1000, 7000]), burst=st.integers(1, 6))
retentions = st.builds(Retention, age_ms=st.sampled_from([5000, 60_000]), count=st.sampled_from([0, 3, 100]))
limits = st.fixed_dictionaries(
    {"paused": st.sampled_from([False, False, True]), "concurrency": st.sampled_from([None, 1, 3])},
    optional={
        "rate": rates,
        "max_waiting": st.sampled_from([3, 9]),
        "per_key": st.builds(KeyLimits, concurrency=st.sampled_from([None, 1, 2]), rate=st.none() | rates),
        "retention": st.dictionaries(st.sampled_from(list(FINAL.values())), retentions),
    },
)
trait = st.sampled_from(
    [
        "priority 0",
        "priority 9 cost 2",
        "cost 3",
        "tags a,b",
        "schedule s",
        "batch b notify 1",
        "heartbeat_ms 2000",
        "retry_ms 6000",
        "expires_ms 3000",
        "notify 1",
    ]
)
# No two say the same of a job.
traits = st.lists(trait, max_size=2, unique_by=lambda one: one.split()[0]).map(
    lambda chosen: " ".join(chosen) if " ".join(chosen).count("cost") < 2 and str(chosen).count("notify") < 2 else ""
)
guards = st.builds(
    "unique_states {} on_conflict {}".format,
    st.sampled_from(["waiting", "incomplete", "all"]),
    st.sampled_from(["keep", "reject", "replace"]),
)
