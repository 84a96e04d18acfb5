"""The keys that all replicas share."""

import base64

import pytest

from coordinator.domain.keyring import Keyring, hkdf, parse_keyring

ONE, OTHER = bytes(range(32)), bytes(range(1, 33))


def written(key: bytes) -> str:
    return base64.b64encode(key).decode()


def test_the_first_key_is_for_what_is_new():
    ring = parse_keyring(f"k2:{written(OTHER)}, k1:{written(ONE)}")
    assert ring.keys == {"k2": OTHER, "k1": ONE}
    assert ring.newest == "k2"
    assert list(ring.derived("a")) == ["k2", "k1"]


def test_each_purpose_has_keys_of_its_own():
    ring = Keyring({"k1": ONE, "k2": OTHER})
    derived = [key for purpose in ("a", "b") for key in ring.derived(purpose).values()]
    assert len(set(derived)) == 4
    assert {len(key) for key in derived} == {32}


def test_keys_are_derived_as_the_standard_says():
    assert hkdf(ONE, "cr/receipt/v1").hex() == "edbb774fe52aa2e3431c85cd66b796a7a7cd243c0f974f675cc24eb644c1b353"


def test_both_alphabets_of_base64_are_read():
    key = b"\xfb\xef\xff" * 11
    assert parse_keyring(f"a:{base64.urlsafe_b64encode(key).decode().rstrip('=')}").keys == {"a": key}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "k1",
        f"k1:{written(ONE[:31])}",
        f"{written(ONE)}",
        "k1:%%%",
        f"k-1:{written(ONE)}",
        f"k1:{written(bytes(32))}",
    ],
)
def test_what_is_no_key_is_refused_with_the_remedy(text: str):
    with pytest.raises(ValueError, match="openssl rand -base64 32"):
        parse_keyring(text)


def test_the_refusal_tells_nothing_of_the_key():
    with pytest.raises(ValueError, match="key number 2") as refused:
        parse_keyring(f"k1:{written(ONE)},k2:c2VjcmV0LXNlY3JldA==")
    assert "c2VjcmV0" not in str(refused.value)


def test_two_keys_of_one_id_are_refused():
    with pytest.raises(ValueError, match="'k1' of another one"):
        parse_keyring(f"k1:{written(ONE)},k1:{written(OTHER)}")


def test_a_keyring_does_not_show_its_keys():
    assert "k1" not in repr(Keyring({"k1": ONE}))
