"""Reserved emails in the database: who may take one, and that others stay as they are."""

import pytest

from database.emails import ReservedEmail
from tests.support.client import ADA, EVE
from tests.support.users import create_user

FREE, RESERVED, EXPIRED = "free@example.com", "reserved@example.com", "expired@example.com"


@pytest.fixture
def users(documents, clock):
    """Create two users: each has an email reserved, and had another one."""
    clock.move_to(2_000_000_000)
    users = [create_user(email) for email in (ADA["email"], EVE["email"])]
    for user in users:
        for email, until in ((RESERVED, 2_000_000_100.0), (EXPIRED, 2_000_000_000.0)):
            reserved = {"email": f"{user.email}.{email}", "user_id": str(user.id)}
            ReservedEmail(**reserved, until=until).save(force_insert=True)
    return users


def stored():
    return {it.email: (it.user_id, it.until) for it in ReservedEmail.objects}


class TestTake:
    @pytest.mark.parametrize(
        ("email", "until"),
        [
            (FREE, 2_000_000_060.0),
            (f"{ADA['email']}.{RESERVED}", 2_000_000_100.0),
            (f"{ADA['email']}.{EXPIRED}", 2_000_000_060.0),
            (f"{EVE['email']}.{EXPIRED}", 2_000_000_060.0),
        ],
    )
    def test_email_is_reserved_and_others_stay(self, users, email, until):
        ada, before = users[0], stored()
        assert ReservedEmail.take(email, ada, 60)
        assert stored() == before | {email: (str(ada.id), until)}

    def test_email_of_another_user_is_refused(self, users):
        before = stored()
        assert not ReservedEmail.take(f"{EVE['email']}.{RESERVED}", users[0], 60)
        assert stored() == before

    def test_email_is_taken_once_it_expires(self, users, clock):
        email = f"{EVE['email']}.{RESERVED}"
        clock.shift(99)
        assert not ReservedEmail.take(email, users[0], 60)
        clock.shift(1)
        assert ReservedEmail.take(email, users[0], 60)
        assert ReservedEmail.find_owner(email) == str(users[0].id)
