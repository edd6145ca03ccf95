"""Results that are remembered without the texts they were computed from."""

import sys

import pytest

from infra.digest_cache import cached_by_digest

TEXT = "x" * 1000


@pytest.fixture
def calls():
    return []


@pytest.fixture
def measure(calls):
    """Return a function that notes its calls, and remembers two results."""

    @cached_by_digest(2)
    def length(text, *others):
        calls.append((text, *others))
        if not text:
            raise ValueError
        return len(text)

    return length


def test_result_is_remembered_by_all_arguments(measure, calls):
    assert [measure(TEXT), measure(TEXT), measure(TEXT, 1), measure(TEXT, 1)] == [1000] * 4
    assert calls == [(TEXT,), (TEXT, 1)]


def test_last_ones_are_remembered(measure, calls):
    for text in ("a", "b", "a", "c", "a", "b"):
        measure(text)
    assert calls == [("a",), ("b",), ("c",), ("b",)]


def test_error_is_not_remembered(measure, calls):
    for _ in range(2):
        with pytest.raises(ValueError):
            measure("")
    assert len(calls) == 2


def test_text_is_not_kept(measure, calls):
    text = "".join(["long"] * 1000)
    before = sys.getrefcount(text)
    measure(text)
    calls.clear()
    assert sys.getrefcount(text) == before
