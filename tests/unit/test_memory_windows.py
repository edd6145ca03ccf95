"""Windows of counts in the memory of a process."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from limits import parse

from infra.rate_limiter import SWEEP_SECONDS, MemoryWindows

THREE = parse("3 per minute")


@pytest.fixture
def windows(clock):
    return MemoryWindows()


def test_window_begins_with_the_first_request_and_ends(windows, clock):
    assert [windows.hit(THREE, "a") for _ in range(4)] == [True, True, True, False]
    clock.shift(59)
    assert not windows.hit(THREE, "a")
    clock.shift(1.5)
    assert windows.hit(THREE, "a")


def test_stats_are_those_of_one_key(windows):
    windows.hit(THREE, "a")
    windows.hit(THREE, "a")
    windows.hit(THREE, "b")
    assert windows.get_window_stats(THREE, "a").remaining == 1
    assert windows.get_window_stats(THREE, "b").remaining == 2


def test_simultaneous_requests_are_all_counted():
    windows, limit = MemoryWindows(), parse("2000 per hour")
    with ThreadPoolExecutor(8) as pool:
        within = [*pool.map(lambda _: windows.hit(limit, "a"), range(4000))]
    assert within.count(True) == 2000


def test_what_is_over_is_deleted_other_windows_stay(windows, clock):
    for number in range(5000):
        windows.hit(THREE, f"over {number}")
    clock.shift(30)
    for _ in range(3):
        windows.hit(THREE, "counted")
    clock.shift(SWEEP_SECONDS - 29)
    # Few requests after a flood are enough.
    assert not windows.hit(THREE, "counted")
    assert len(vars(windows)["_windows"]) == 1
