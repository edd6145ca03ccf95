"""Requests about the second factor that meet each other, or another change of the account.

Each pair of requests is interleaved in every way in which one happens as a whole between two
database commands of the other.
"""

import itertools
from functools import partial

import pytest

from tests.support.factor_owner import FactorOwner
from tests.support.interleaving import SERIAL, assert_serializable

CHANGES = [
    FactorOwner.refresh,
    FactorOwner.log_out,
    FactorOwner.end_sessions,
    FactorOwner.change_password,
    FactorOwner.reset_password,
    FactorOwner.confirm_change,
    FactorOwner.undo_change,
    FactorOwner.delete_oneself,
]
WHILE_ADDING = [
    (FactorOwner.confirm, other)
    for other in (
        FactorOwner.confirm,
        FactorOwner.start,
        FactorOwner.log_in,
        FactorOwner.reauthenticate_by_password,
        FactorOwner.refresh_other_session,
        *CHANGES,
    )
] + [
    (FactorOwner.start, other)
    for other in (FactorOwner.start, FactorOwner.reauthenticate_by_password, *CHANGES)
]
IN_FORCE = [
    *itertools.combinations_with_replacement(
        (
            FactorOwner.finish_login,
            FactorOwner.finish_login_by_next_code,
            FactorOwner.finish_login_by_recovery_code,
            FactorOwner.reauthenticate,
            FactorOwner.remove,
            FactorOwner.renew,
        ),
        2,
    ),
    *itertools.product((FactorOwner.finish_login, FactorOwner.reauthenticate), CHANGES),
    *itertools.product(
        (FactorOwner.remove, FactorOwner.renew),
        (FactorOwner.reset_password, FactorOwner.undo_change, FactorOwner.change_password),
    ),
]
PAIRS = [(False, *pair) for pair in WHILE_ADDING] + [(True, *pair) for pair in IN_FORCE]

# Those that one function of the product gets right or wrong for many others.
QUICK = {
    (FactorOwner.confirm, FactorOwner.refresh),
    (FactorOwner.confirm, FactorOwner.reset_password),
    (FactorOwner.finish_login, FactorOwner.finish_login_by_next_code),
    (FactorOwner.finish_login, FactorOwner.reauthenticate),
    (FactorOwner.finish_login, FactorOwner.reset_password),
    (FactorOwner.reauthenticate, FactorOwner.remove),
}


def with_the_next_pair(first, second):
    """Send the second with the tokens of a reauthentication, as if its check had come later."""
    response = first()
    if first.func is FactorOwner.reauthenticate and response.ok:
        (owner,) = first.args
        owner.pair = response.json()
    return response, second()


ORDERS = (*SERIAL, with_the_next_pair)


@pytest.fixture
def settings(interrupted, settings):
    """Return the settings once there is a listener."""
    return settings


@pytest.fixture
def race(interrupted, clock, app, api, stopped_worker, is_in_force):
    """Return a function that sends two requests in some way and returns what came of them."""
    owner = FactorOwner(app, api, is_in_force)

    def race(first, second, send):
        owner.restore()
        responses = send(partial(first, owner), partial(second, owner))
        assert all(response.status_code < 500 for response in responses if response is not None)
        succeeded = [response is not None and response.ok for response in responses]
        return *succeeded, owner.state()

    return race


@pytest.mark.parametrize(
    ("is_in_force", "first", "second"),
    [pytest.param(*pair, marks=() if pair[1:] in QUICK else pytest.mark.slow) for pair in PAIRS],
    ids=[f"{first.__name__}-{second.__name__}" for _, first, second in PAIRS],
)
def test_result_is_that_of_some_order(race, interrupted, first, second):
    assert_serializable(race, interrupted, first, second, ORDERS)
