"""Accounts: the user's own, and everybody's for admins."""

import contextlib
import threading
from datetime import UTC, datetime
from functools import partialmethod

import pytest
from bson import ObjectId
from pymongo.collection import Collection

from database.models import ADMIN, Mail, User
from services import user_service
from tests.conftest import ADA, at_once, wait_until
from tests.smtp import free_port
from tests.test_bad_input import refused

CURRENT = {"current_password": ADA["password"]}
PATHS = pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
BAD = {"email": "nobody", "password": "password1", "name": "evil.ex", "role": "root", "id": "0"}
METHODS = {"GET": None, "PATCH": {"name": "X"}, "DELETE": CURRENT}


def join(api, email, role="user"):
    """Sign up, get the role and log in; return id and tokens."""
    api.sign_up(email=email)
    user = User.objects.get(email=email)
    if role == ADMIN:
        with api.app.app_context():
            user_service.set_role(user, ADMIN)
    return {"id": str(user.id), **api.log_in(email=email).json()}


@pytest.fixture
def eve(api):
    return join(api, "eve@example.com")


@pytest.fixture
def root(api):
    return join(api, "root@example.com", ADMIN)


def me(api, user):
    return api.get("/api/users/me", token=user["token"]).json()


def lives(api, user):
    """Say whether the tokens live; they live and die together."""
    alive = api.whoami(user["token"]).ok
    assert alive == api.refresh(user["refresh_token"]).ok
    return alive


@PATHS
def test_users_read_and_rename_themselves(api, root, path):
    ask = {"url": path.format(**root), "token": root["token"]}
    before = api.get(**ask).json()
    created_at = datetime.fromtimestamp(User.objects.get().created_at, UTC).isoformat()
    facts = {"id": root["id"], "email": root["email"], "name": None, "role": "admin"}
    assert before == facts | {"created_at": created_at[:19] + "Z"}
    after = api.patch(**ask, json={"name": " Zoë O'Neil "}).json()
    assert after == api.get(**ask).json() == before | {"name": "Zoë O'Neil"}


@pytest.mark.parametrize("body", [{}, *({"name": n} for n in ("", "evil.ex", "x" * 101, None, 5))])
def test_what_is_no_name_is_no_new_name(api, eve, body):
    answer = api.patch("/api/users/me", json=body, token=eve["token"])
    assert refused(answer, 400, "SchemaValidationError").keys() == {"name"}
    assert me(api, eve)["name"] is None


@pytest.mark.parametrize("role", ["admin", "user"])
def test_users_give_themselves_no_role(api, eve, role):
    before, ask = me(api, eve), {"json": {"name": "E", "role": role}, "token": eve["token"]}
    refused(api.patch(f"/api/users/{eve['id']}", **ask), 403, "ForbiddenError")
    refused(api.patch("/api/users/me", **ask), 400, "SchemaValidationError")
    assert me(api, eve) == before


@pytest.mark.parametrize("body", [{}, {"current_password": "wrong"}, {"current_password": None}])
@pytest.mark.parametrize("role", ["user", "admin"])
@PATHS
def test_who_leaves_must_give_the_current_password(api, root, role, path, body):
    user = join(api, "eve@example.com", role)
    answer = api.delete(path.format(**user), json=body, token=user["token"])
    assert refused(answer, 400, "SchemaValidationError").keys() == {"current_password"}
    assert lives(api, user)


@PATHS
def test_who_left_has_no_token_gets_no_mail_and_may_return(api, ada, reset_link, mailbox, path):
    other, path = api.log_in().json(), path.format(**me(api, ada))
    assert api.delete(path, json=CURRENT, token=ada["token"]).status_code == 200
    refused(api.log_in(), 401, "UnauthorizedError")
    api.forgot()
    wait_until(lambda: Mail.objects.first() is None)
    assert len(mailbox.mails) == 1  # the link from before
    for _ in ("before the new signup", "after it"):
        assert not lives(api, ada)
        assert not lives(api, other)
        refused(api.reset(reset_link), 401, "BadTokenError")
        api.sign_up()
    assert api.log_in().status_code == 200


@pytest.mark.parametrize("by", ["themself", "an admin"])
def test_the_wishes_of_who_is_deleted_leave_the_outbox(make_app, http, by):
    http.app = make_app(MAIL_PORT=free_port())
    eve, root = join(http, "eve@example.com"), join(http, "root@example.com", ADMIN)
    http.forgot(eve["email"])
    http.forgot(root["email"])
    token, body = (eve["token"], CURRENT) if by == "themself" else (root["token"], None)
    assert http.delete(f"/api/users/{eve['id']}", json=body, token=token).status_code == 200
    assert [wish.email for wish in Mail.objects(kind="reset")] == [root["email"]]


@pytest.mark.parametrize("survived", range(4))
def test_a_deletion_that_dies_after_any_write_leaves_all_or_nothing(app, monkeypatch, survived):
    user = User(email=ADA["email"], password="-").save()
    for state in (Mail.WAITING, Mail.GIVEN_UP):
        Mail(kind="reset", email=user.email, created_at=0, due_at=0, state=state).save()
    before, writes = User.objects.get().to_mongo(), []
    mortal_thread = threading.current_thread()

    def mortal(collection, write, *args, **options):
        if threading.current_thread() is mortal_thread:
            if len(writes) == survived:
                raise SystemExit
            writes.append(write)
        return write(collection, *args, **options)

    with monkeypatch.context() as patch, app.app_context(), contextlib.suppress(SystemExit):
        for name in ("update_one", "update_many", "delete_one", "delete_many"):
            patch.setattr(Collection, name, partialmethod(mortal, getattr(Collection, name)))
        user_service.delete(user)
    assert len(writes) >= min(survived, 2)
    if survived == 0 or User.objects.first():
        assert User.objects.get().to_mongo() == before
    else:
        app.extensions["outbox"].start()
        wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None)
        assert Mail.objects.first() is None


@pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (200, [7])])
def test_an_admin_walks_all_users_in_the_order_of_signup_by_links(api, root, limit, sizes):
    emails = [root["email"], *(f"user{number}@example.com" for number in (5, 3, 1, 6, 2, 4))]
    for email in emails[1:]:
        api.sign_up(email=email)
    pages, url = [], f"/api/users?limit={limit}"
    while url:
        assert url.startswith("/api/users")
        answer = api.get(url, token=root["token"])
        pages.append(answer.json())
        url = answer.links.get("next", {}).get("url")
    assert "Link" not in answer.headers
    assert [len(page) for page in pages] == sizes
    assert [user["email"] for page in pages for user in page] == emails
    assert pages[0][0] == me(api, root)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=abc", "after=abc", "offset=3"])
def test_a_query_that_can_not_be_read_is_named(api, root, query):
    answer = api.get(f"/api/users?{query}", token=root["token"])
    assert refused(answer, 400, "SchemaValidationError").keys() == {query.partition("=")[0]}


@pytest.mark.parametrize("given", [{}, {"role": "user"}, {"role": "admin"}], ids=str)
def test_an_admin_creates_a_user_once(api, root, given):
    fields = ADA | {"email": "ADA@example.com", "name": "Ada"} | given
    ask = {"json": fields, "token": root["token"]}
    shown = api.post("/api/users", **ask).json()
    assert shown == me(api, api.log_in().json())
    assert shown == shown | {"email": ADA["email"], "name": "Ada", "role": "user"} | given
    refused(api.post("/api/users", **ask), 400, "EmailAlreadyExistsError")


@pytest.mark.parametrize("field", BAD)
def test_an_admin_creates_no_user_who_could_not_sign_up(api, root, field):
    answer = api.post("/api/users", json=ADA | {field: BAD[field]}, token=root["token"])
    assert refused(answer, 400, "SchemaValidationError").keys() == {field}
    assert User.objects.count() == 1


def test_an_admin_reads_renames_and_deletes_another(api, root, eve):
    path = f"/api/users/{eve['id']}"
    answer = api.patch(path, json={"name": "Eve", "role": "user"}, token=root["token"])
    assert answer.json() == api.get(path, token=root["token"]).json() == me(api, eve)
    assert me(api, eve)["name"] == "Eve"
    eve = api.refresh(eve["refresh_token"]).json()  # her role is as it was, and her session lives
    assert api.delete(path, token=root["token"]).status_code == 200
    assert not lives(api, eve)
    refused(api.get(path, token=root["token"]), 404, "UserNotExistsError")


@pytest.mark.parametrize(("old", "new", "status"), [("user", "admin", 200), ("admin", "user", 403)])
def test_a_change_of_role_ends_the_sessions_and_takes_effect_at_once(api, root, old, new, status):
    eve = join(api, "eve@example.com", old)
    answer = api.patch(f"/api/users/{eve['id']}", json={"role": new}, token=root["token"])
    assert (answer.status_code, answer.json()["role"]) == (200, new)
    assert not lives(api, eve)
    token = api.log_in(email=eve["email"]).json()["token"]
    assert api.get("/api/users", token=token).status_code == status
    assert lives(api, root)


@pytest.mark.parametrize("user_id", ["0" * 24, "x", "0" * 12, "0" * 23, "%00", "$ne", "é"])
def test_an_admin_is_told_that_nobody_has_an_id(api, root, user_id):
    for method, body in METHODS.items():
        answer = api.request(method, f"/api/users/{user_id}", json=body, token=root["token"])
        refused(answer, 404, "UserNotExistsError")


@pytest.mark.parametrize("whose", ["an admin's", "nobody's", "malformed", "list"])
def test_what_is_for_admins_is_closed_to_everybody_else(api, root, eve, whose):
    user_id = {"an admin's": root["id"], "nobody's": str(ObjectId()), "malformed": "x"}.get(whose)
    path = f"/api/users/{user_id}" if user_id else "/api/users"
    for method, body in (METHODS if user_id else {"GET": None, "POST": ADA}).items():
        ask = {"method": method, "url": path, "json": body}
        refused(api.request(**ask), 401, "MissingTokenError")
        refused(api.request(**ask, token=root["refresh_token"]), 401, "BadTokenError")
        assert refused(api.request(**ask, token=eve["token"]), 403, "ForbiddenError") == {}
    assert (User.objects.count(), me(api, root)["name"]) == (2, None)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *(("DELETE", path, CURRENT) for path in ("me", "{id}")),
        *(("PATCH", "{id}", {"role": "user"} | name) for name in ({}, {"name": "New"})),
    ],
)
def test_the_last_admin_stays_as_they_are(api, root, eve, method, path, body):
    before, url = me(api, root), f"/api/users/{path.format(**root)}"
    refused(api.request(method, url, json=body, token=root["token"]), 409, "LastAdminError")
    assert me(api, root) == before
    assert lives(api, root)


@pytest.mark.parametrize("whom", ["each other", "themselves"])
@pytest.mark.parametrize(("method", "body"), [("PATCH", {"role": "user"}), ("DELETE", CURRENT)])
def test_of_two_admins_who_go_at_once_one_remains(api, method, body, whom):
    for number in range(20):
        admins = [join(api, f"{side}{number}@example.com", ADMIN) for side in "ab"]
        pairs = zip(admins, admins if whom == "themselves" else admins[::-1], strict=True)
        asks = [(f"/api/users/{target['id']}", admin["token"]) for admin, target in pairs]
        answers = at_once(
            2, lambda i, a=asks: api.request(method, a[i][0], json=body, token=a[i][1])
        )
        assert {answer.status_code for answer in answers} <= {200, 401, 403, 409}
        assert User.objects(role=ADMIN).first()
        User.objects.delete()


def test_a_last_admin_who_is_refused_was_an_admin_all_the_time(api, root, monkeypatch):
    monkeypatch.setattr(Collection, "update_one", None)  # nothing is written, not even to undo it
    for method, body in (("PATCH", {"role": "user"}), ("DELETE", CURRENT)):
        answer = api.request(method, f"/api/users/{root['id']}", json=body, token=root["token"])
        refused(answer, 409, "LastAdminError")
