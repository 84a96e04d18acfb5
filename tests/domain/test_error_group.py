"""Errors of one kind are one, whatever their numbers and ids."""

import pytest

from coordinator.domain.error_group import MESSAGE_LIMIT, ErrorKind, folded, kind_of, match_of


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("The function answered 503.", "The function answered #."),
        ("no order 6f1c2d3e-0a1b-4c2d-8e3f-001122334455 at 10.0.0.1:80", "no order # at #:#"),
        ("job 01MCC5RM000000000000000001 is gone", "job # is gone"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8", "commit #"),
        ("the facade decade feedbeef", "the facade decade feedbeef"),
        ("took 1.25 s, 3 times", "took # s, # times"),
    ],
)
def test_numbers_and_ids_are_folded(message, told):
    assert folded(message) == told


def test_a_long_message_is_cut():
    assert len(folded("x" * 9999)) == MESSAGE_LIMIT


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (b'{"type":"HTTPError","message":"answered 500"}', ErrorKind("HTTPError", "answered #")),
        (b'{"message":null,"type":7}', ErrorKind(None, None)),
        (b'"no such user 7"', ErrorKind(None, "no such user #")),
        (b'{"message":["a",1]}', ErrorKind(None, '["a",#]')),
        (b"null", ErrorKind(None, None)),
        (b"", ErrorKind(None, None)),
    ],
)
def test_an_error_has_a_kind(error, kind):
    assert kind_of(error) == kind


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (b'{"message":"no order 17 of the shop"}', "of the shop"),
        (b'{"message":"he said \\"no\\" to 7 of them"}', "he said"),
        (b'{"type":"Boom","message":"17"}', "Boom"),
        (b'{"message":"17"}', None),
        (b'{"message":"\xc3\xbcberall nichts"}', "berall nichts"),
    ],
)
def test_a_text_finds_all_of_a_kind(error, text):
    assert match_of(kind_of(error), error) == text
