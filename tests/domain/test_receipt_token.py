"""The token of a call: what it is made of, and that nothing else is taken for it."""

import pytest

from coordinator.domain.keyring import hkdf
from coordinator.domain.receipt_token import PURPOSE, Fence, issue, verify

JOB = "01J9ZZZZZZZZZZZZZZZZZZZZZZ"
KEY = hkdf(bytes(range(32)), PURPOSE)
KEYS = {"k1": KEY, "k2": hkdf(bytes(range(1, 33)), PURPOSE)}
FENCE = Fence(3, "AAECAwQFBgc")
END = 1_700_000_600
TOKEN = f"rt1.k1.3.AAECAwQFBgc.{END}.vqDxyNFISSH1v6KY-inI5lFJLG34mvYu25CQQfxjzwQ"


def test_it_is_what_was_computed_elsewhere():
    assert issue("k1", KEY, JOB, FENCE, END) == TOKEN


def test_it_names_the_attempt_until_it_expires():
    assert verify(KEYS, TOKEN, JOB, END) == FENCE
    assert verify(KEYS, TOKEN, JOB, END + 1) is None


def test_any_key_of_the_ring_verifies():
    assert verify(KEYS, issue("k2", KEYS["k2"], JOB, FENCE, END), JOB, 0) == FENCE


def changed(part: int, text: str) -> str:
    parts = TOKEN.split(".")
    parts[part] = text
    return ".".join(parts)


@pytest.mark.parametrize(
    "token",
    [
        *(changed(1, key) for key in ("k2", "k3", "", "K1", "k1 ")),
        *(changed(2, attempt) for attempt in ("4", "2", "03", "+3", "-3", "3e0", "٣", "", "9" * 10)),
        *(changed(3, nonce) for nonce in ("AAECAwQFBgd", "AAECAwQFBg", "AAECAwQFBgcA", "", "AAECAwQFBgc=")),
        *(changed(4, end) for end in (str(END + 1), f"0{END}", f"{END}0", "", "inf")),
        *(
            changed(5, mac)
            for mac in ("A" * 43, TOKEN[-43:-1], TOKEN[-43:] + "A", TOKEN[-43:] + "=", "", TOKEN[-43:].lower())
        ),
        *(changed(0, begin) for begin in ("rt2", "rt", "RT1", "")),
        *(TOKEN + "\n", " " + TOKEN, TOKEN + ".", TOKEN[1:], TOKEN.replace(".", ":"), "", "rt1.", "rt1....."),
    ],
)
def test_nothing_else_is_taken_for_it(token: str):
    assert verify(KEYS, token, JOB, 0) is None


@pytest.mark.parametrize("job", ["", JOB.lower(), JOB + "\n3", JOB[:-1], JOB + "Z", "01J9ZZZZZZZZZZZZZZZZZZZZZY"])
def test_it_is_for_one_job(job: str):
    assert verify(KEYS, TOKEN, job, 0) is None


def test_parts_cannot_be_moved_from_one_to_another():
    """What is signed has an end after each part, so `1` and `23` are not `12` and `3`."""
    one = issue("k1", KEY, JOB, Fence(1, "23"), END).rpartition(".")[2]

    assert verify(KEYS, f"rt1.k1.12.3.{END}.{one}", JOB, 0) is None
