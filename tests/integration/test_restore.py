"""What docs/deployment/backup.md says of a restored database, and what its steps void."""

import pytest
from mongoengine.connection import get_db

from database.models import User
from database.users import revoke_sessions_of_everyone
from services import user_service
from tests.support.assertions import assert_error
from tests.support.client import EVE, NEW_PASSWORD
from tests.support.mongo_tools import dump, restore
from tests.support.tokens import KEY


@pytest.fixture
def backup(api, ada, mailed_token, database, tmp_path):
    """Dump the database, in which Ada is logged in; return a function that restores it."""
    User.ensure_indexes()
    dump(database, tmp_path)
    return lambda: restore(database, tmp_path, {}, drop=True)


def test_documents_and_indexes_are_restored(backup, api):
    before = list(get_db()["user"].find())
    indexes = get_db()["user"].index_information().keys()
    api.sign_up(**EVE)
    User.objects.update(set__name="Changed")
    backup()
    assert list(get_db()["user"].find()) == before
    assert get_db()["user"].index_information().keys() == indexes
    assert_error(api.sign_up(), 400, "EmailAlreadyExistsError")


def test_changed_password_is_the_old_one_again(backup, api, ada, mailed_token):
    assert api.reset(mailed_token).status_code == 200
    assert api.log_in().status_code == 401
    backup()
    assert api.log_in(password=NEW_PASSWORD).status_code == 401
    assert api.log_in().status_code == 200


def test_used_link_and_ended_session_are_valid_again(backup, api, ada, mailed_token):
    api.reset(mailed_token)
    backup()
    assert api.verify(ada["token"]).status_code == 200
    assert api.refresh(ada["refresh_token"]).status_code == 200
    assert api.reset(mailed_token).status_code == 200


def test_disabled_account_is_enabled_again(backup, api):
    with api.app.app_context():
        user_service.set_disabled(User.objects.get(), True)
    assert api.log_in().status_code == 403
    backup()
    assert api.log_in().status_code == 200


def test_other_key_voids_tokens_and_links(backup, api, ada, mailed_token, make_app):
    backup()
    api.app = make_app(JWT_SECRET_KEY=KEY[::-1])
    assert_error(api.verify(ada["token"]), 401, "BadTokenError")
    assert_error(api.refresh(ada["refresh_token"]), 401, "BadTokenError")
    assert_error(api.reset(mailed_token), 401, "BadTokenError")


def test_revoked_sessions_void_tokens_but_no_link(backup, api, ada, mailed_token):
    backup()
    revoke_sessions_of_everyone()
    assert_error(api.verify(ada["token"]), 401, "SessionEndedError")
    assert_error(api.refresh(ada["refresh_token"]), 401, "SessionEndedError")
    assert api.reset(mailed_token).status_code == 200
