"""Users: themselves under /api/users/me, and everyone for admins."""

import contextlib
import threading
from datetime import UTC, datetime
from functools import partialmethod

import pytest
from bson import ObjectId
from pymongo.collection import Collection

from database import users
from database.documents import DOCUMENTS
from database.models import ADMIN, Job, Movie, User
from database.sent_mail import SentMail
from services import user_service
from services.mail_kinds import ACCOUNT_DELETED, ROLE_CHANGED_TO_ADMIN
from services.mail_queue import SEND_EMAIL
from tests.support.assertions import assert_error
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously, wait_until
from tests.support.emails import subject_of
from tests.support.pages import each_page
from tests.support.processes import free_port
from tests.support.smtp_server import text_of
from tests.support.users import create_session, create_user

CURRENT = {"current_password": ADA["password"]}
EACH_PATH = pytest.mark.parametrize("path", ["/api/users/me", "/api/users/{id}"])
INVALID = {"email": "ada", "password": "password1", "name": "evil.ex", "role": "root", "id": "0"}
METHODS = {"GET": None, "PATCH": {"name": "X"}, "DELETE": CURRENT}
WRITES = ("insert_one", "update_one", "update_many", "delete_one", "delete_many")


@contextlib.contextmanager
def crash_after(survived, monkeypatch):
    """End this thread's work before one write more than `survived`; yield the writes that were."""
    crashing_thread, writes = threading.current_thread(), []

    def crash(collection, write, *args, **options):
        if threading.current_thread() is crashing_thread:
            if len(writes) == survived:
                raise SystemExit
            writes.append(write)
        return write(collection, *args, **options)

    with monkeypatch.context() as patch, contextlib.suppress(SystemExit):
        for name in WRITES:
            patch.setattr(Collection, name, partialmethod(crash, getattr(Collection, name)))
        yield writes


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
    """Sign Eve up; return her id and tokens."""
    return join(api, "eve@example.com")


@pytest.fixture
def root(api):
    """Sign an admin up; return id and tokens."""
    return join(api, "root@example.com", ADMIN)


def create_admin(app, email):
    """Create an admin with a session, without HTTP; return id and tokens."""
    user = create_user(email, ADMIN)
    return {"id": str(user.id), **create_session(app, user)}


def read_me(api, user):
    return api.get("/api/users/me", token=user["token"]).json()


def is_logged_in(api, user):
    """Return whether the tokens are valid: both or neither."""
    is_valid = api.verify(user["token"]).ok
    assert is_valid == api.refresh(user["refresh_token"]).ok
    return is_valid


class TestReadAndRename:
    @EACH_PATH
    def test_user_reads_and_renames_themself(self, api, root, path):
        request = {"url": path.format(**root), "token": root["token"]}
        before = api.get(**request).json()
        created_at = datetime.fromtimestamp(User.objects.get().created_at, UTC).isoformat()
        expected = {"id": root["id"], "email": root["email"], "name": None, "role": "admin"}
        expected |= {"locale": "en", "created_at": created_at[:19] + "Z", "verified": False}
        expected |= {"disabled": False, "invited": False}
        assert before == expected
        after = api.patch(**request, json={"name": " Zoë O'Neil "}).json()
        assert after == api.get(**request).json() == before | {"name": "Zoë O'Neil"}

    def test_invalid_name_is_refused(self, api, eve):
        for body in ({}, *({"name": name} for name in ("", " ", "evil.ex", "x" * 101, 5, False))):
            response = api.patch("/api/users/me", json=body, token=eve["token"])
            assert assert_error(response, 400, "SchemaValidationError").keys() == {"name"}
        assert read_me(api, eve)["name"] is None

    @EACH_PATH
    def test_null_removes_the_name(self, api, root, path):
        request = {"url": path.format(**root), "token": root["token"]}
        assert api.patch(**request, json={"name": "Ada"}).json()["name"] == "Ada"
        if path != "/api/users/me":
            assert api.patch(**request, json={}).json()["name"] == "Ada"
        assert api.patch(**request, json={"name": None}).json()["name"] is None
        assert read_me(api, root)["name"] is None
        assert User.objects.get().name is None

    def test_role_can_not_be_removed(self, api, root):
        request = {"json": {"role": None}, "token": root["token"]}
        response = api.patch(f"/api/users/{root['id']}", **request)
        assert assert_error(response, 400, "SchemaValidationError").keys() == {"role"}

    @pytest.mark.parametrize("role", ["admin", "user"])
    def test_user_can_not_set_their_own_role(self, api, eve, role):
        before = read_me(api, eve)
        request = {"json": {"name": "E", "role": role}, "token": eve["token"]}
        assert_error(api.patch(f"/api/users/{eve['id']}", **request), 403, "ForbiddenError")
        assert_error(api.patch("/api/users/me", **request), 400, "SchemaValidationError")
        assert read_me(api, eve) == before


class TestDeleteThemself:
    @pytest.mark.parametrize("role", ["user", "admin"])
    @EACH_PATH
    def test_current_password_is_required(self, api, root, role, path):
        user = join(api, "eve@example.com", role)
        for body in ({}, {"current_password": "wrong"}, {"current_password": None}):
            response = api.delete(path.format(**user), json=body, token=user["token"])
            errors = assert_error(response, 400, "SchemaValidationError")
            assert errors.keys() == {"current_password"}
        assert is_logged_in(api, user)

    @EACH_PATH
    def test_tokens_are_void_and_the_email_is_free(self, api, ada, mailed_token, mails, path):
        other, path = api.log_in().json(), path.format(**read_me(api, ada))
        assert api.delete(path, json=CURRENT, token=ada["token"]).status_code == 200
        assert_error(api.log_in(), 401, "UnauthorizedError")
        api.forgot()
        assert [mail["Subject"] for mail in mails()] == [subject_of(api.app, ACCOUNT_DELETED)]
        assert Job.objects.first() is None
        for _ in ("before the new signup", "after it"):
            assert not is_logged_in(api, ada)
            assert not is_logged_in(api, other)
            assert_error(api.reset(mailed_token), 401, "BadTokenError")
            api.sign_up()
        assert api.log_in().status_code == 200


class TestDeleteEverything:
    @pytest.mark.parametrize("actor", ["themself", "an admin"])
    def test_queued_emails_are_deleted(self, make_app, http, actor):
        http.app = make_app(MAIL_PORT=free_port())
        eve, root = join(http, "eve@example.com"), join(http, "root@example.com", ADMIN)
        http.forgot(eve["email"])
        http.forgot(root["email"])
        token, body = (eve["token"], CURRENT) if actor == "themself" else (root["token"], None)
        path = f"/api/users/{eve['id']}"
        assert http.delete(path, json=body, token=token).status_code == 200
        jobs = Job.objects(kind=SEND_EMAIL, arguments__email__exists=True)
        assert [job.arguments["email"] for job in jobs] == [root["email"]]

    # Nine writes: the notice, failed jobs, failed notices, sent mails, the job, the user, movies,
    # jobs, sent mails.
    @pytest.mark.parametrize("survived", range(10))
    def test_crash_after_any_write_deletes_all_or_nothing(self, app, monkeypatch, survived):
        user = User(email=ADA["email"], password="-").save()
        own_everything(user)
        before = User.objects.get().to_mongo()
        with app.app_context(), crash_after(survived, monkeypatch) as writes:
            user_service.delete(user)
        assert len(writes) == min(survived, 9)
        if User.objects.first():
            assert User.objects.get().to_mongo() == before
            assert Movie.objects.count() == 1
        else:
            app.extensions["worker"].start()
            wait_until(lambda: Job.objects(state=Job.QUEUED).first() is None)
            assert not any(document.objects.first() for document in (Job, Movie, SentMail))


def own_everything(user):
    """Store one of each document that belongs to a user."""
    email = {"mail": "reset_password", "email": user.email}
    for state in (Job.QUEUED, Job.FAILED):
        Job(kind=SEND_EMAIL, arguments=email, created_at=0, run_at=0, state=state).save()
    SentMail(arguments=email, created_at=0).save()
    texts = {"name": "Heat", "name_casefold": "heat", "casts": ["A"], "genres": ["B"]}
    Movie(**texts, added_by=str(user.id)).save()


class TestNotices:
    """The user is notified of what others do to the account."""

    @pytest.fixture
    def notices(self, mailbox):
        """Return a function that returns the next mails: recipient and text of each."""

        def read(count):
            mails = mailbox.wait_for(count)
            wait_until(lambda: Job.objects.first() is None)
            assert len(mailbox.mails) == count
            return [(mail["To"], text_of(mail)) for mail in mails]

        return read

    @pytest.fixture
    def named(self, api, root, mailbox):
        """Sign Eve up with a name and a verified email; return her id and tokens."""
        mailbox.wait_for(1)  # the notice that made root an admin
        wait_until(lambda: Job.objects.first() is None)
        mailbox.mails.clear()
        api.sign_up(email="eve@example.com", name="Eve M")
        user = User.objects.get(email="eve@example.com")
        user.modify(verified_at=0.0)
        return {"id": str(user.id), **api.log_in(email="eve@example.com").json()}

    @pytest.mark.parametrize("way", ["api", "shell"])
    def test_user_is_notified_of_another_role(self, api, root, named, notices, way):
        def change(role):
            if way == "api":
                path = f"/api/users/{named['id']}"
                assert api.patch(path, json={"role": role}, token=root["token"]).ok
            else:
                command = {"admin": "promote", "user": "demote"}[role]
                words = ["user", command, "eve@example.com"]
                assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
                api.app.extensions["worker"].wake()

        change("admin")
        ((to, text),) = notices(1)
        assert to == "eve@example.com"
        assert "Eve M" in text
        assert "made an admin" in text
        change("user")
        (_, (to, text)) = notices(2)
        assert to == "eve@example.com"
        assert "from admin to user" in text

    @pytest.mark.parametrize("actor", ["themself", "an admin", "the shell"])
    def test_user_is_notified_of_the_deletion(self, api, root, named, notices, actor):
        if actor == "the shell":
            words = ["user", "delete", "--yes", "eve@example.com"]
            assert api.app.test_cli_runner().invoke(args=words).exit_code == 0
        else:
            token, body = (
                (named["token"], CURRENT) if actor == "themself" else (root["token"], None)
            )
            path = f"/api/users/{named['id']}"
            assert api.delete(path, json=body, token=token).status_code == 200
        ((to, text),) = notices(1)
        assert to == "eve@example.com"
        assert "Eve M" in text
        assert "was just deleted" in text
        stored = [str(document.to_mongo()) for kind in DOCUMENTS for document in kind.objects]
        assert "eve@example.com" not in "".join(stored)

    def test_notice_of_a_role_reaches_a_deleted_user(self, make_app, http, smtp, mailbox):
        http.app = make_app(MAIL_PORT=free_port())
        root, eve = join(http, "root@example.com", ADMIN), join(http, "eve@example.com")
        path = f"/api/users/{eve['id']}"
        assert http.patch(path, json={"role": "admin"}, token=root["token"]).ok
        assert http.delete(path, token=root["token"]).ok
        Job.objects.update(set__run_at=0)
        make_app().extensions["worker"].start()
        wait_until(lambda: Job.objects.first() is None)
        texts = [text_of(mail) for mail in mailbox.to("eve@example.com")]
        assert len(texts) == 2
        for words in ("made an admin", "was just deleted"):
            assert [words in text for text in texts].count(True) == 1

    def test_notice_to_an_unverified_address_has_no_name(self, api, root, named, notices, mailbox):
        User.objects(id=named["id"]).update_one(unset__verified_at=True)
        path = f"/api/users/{named['id']}"
        assert api.patch(path, json={"role": "admin"}, token=root["token"]).ok
        assert api.delete(path, token=root["token"]).ok
        assert [to for to, _ in notices(2)] == ["eve@example.com"] * 2
        assert all("Eve M" not in mail.as_string() for mail in mailbox.mails)

    def test_refused_change_sends_no_notice(self, api, root, notices, mailbox):
        notices(1)
        path = f"/api/users/{root['id']}"
        for request in (api.patch, api.delete):
            body = {"role": "user"} if request == api.patch else CURRENT
            response = request(path, json=body, token=root["token"])
            assert_error(response, 409, "LastAdminError")
        assert Job.objects.first() is None
        assert len(mailbox.mails) == 1

    def test_same_role_sends_no_notice(self, api, root, named):
        path = f"/api/users/{named['id']}"
        assert api.patch(path, json={"role": "user"}, token=root["token"]).ok
        assert Job.objects.first() is None

    @pytest.mark.parametrize("survived", [1, 2])
    def test_notice_is_queued_before_the_change(self, app, monkeypatch, survived):
        user = create_user(ADA["email"])
        monkeypatch.setattr(app.extensions["worker"], "wake", lambda: None)
        with app.app_context(), crash_after(survived, monkeypatch):
            user_service.set_role(user, ADMIN)
        assert Job.objects.get().arguments["mail"] == ROLE_CHANGED_TO_ADMIN
        assert (User.objects.get().role == ADMIN) == (survived == 2)

    def test_failed_notice_to_a_deleted_user_is_not_kept(self, api, root, eve, mailbox, caplog):
        mailbox.reply = "550 No such user"
        assert api.delete(f"/api/users/{eve['id']}", token=root["token"]).ok
        wait_until(lambda: "it is deleted" in caplog.text)
        assert Job.objects(arguments__to=eve.get("email", "eve@example.com")).first() is None

    def test_failed_notice_is_deleted_with_its_user(self, api, root, eve, mailbox):
        mailbox.reply = "550 No such user"
        path = f"/api/users/{eve['id']}"
        assert api.patch(path, json={"role": "admin"}, token=root["token"]).ok
        of_eve = {"arguments__to": "eve@example.com"}
        wait_until(lambda: Job.objects(state=Job.FAILED, **of_eve).first())
        assert api.delete(path, token=root["token"]).ok
        wait_until(lambda: Job.objects(**of_eve).first() is None)


class TestListUsers:
    @pytest.mark.parametrize(("limit", "sizes"), [(3, [3, 3, 1]), (7, [7]), (200, [7])])
    def test_links_lead_through_all_in_order_of_signup(self, api, root, limit, sizes):
        emails = [root["email"], *(f"user{number}@example.com" for number in (5, 3, 1, 6, 2, 4))]
        for email in emails[1:]:
            api.sign_up(email=email)
        responses = list(each_page(api, f"/api/users?limit={limit}", token=root["token"]))
        assert "Link" not in responses[-1].headers
        pages = [response.json() for response in responses]
        assert [len(page) for page in pages] == sizes
        assert [user["email"] for page in pages for user in page] == emails
        assert pages[0][0] == read_me(api, root)

    def test_invalid_parameter_is_named(self, api, root):
        for query in ("limit=0", "limit=201", "limit=abc", "after=abc", "offset=3"):
            response = api.get(f"/api/users?{query}", token=root["token"])
            errors = assert_error(response, 400, "SchemaValidationError")
            assert errors.keys() == {query.partition("=")[0]}


class TestCreateUser:
    @pytest.mark.parametrize("given", [{}, {"role": "user"}, {"role": "admin"}], ids=str)
    def test_admin_creates_a_user_once(self, api, root, given):
        fields = ADA | {"email": "ADA@example.com", "name": "Ada"} | given
        request = {"json": fields, "token": root["token"]}
        response = api.post("/api/users", **request)
        created = response.json()
        path = f"/api/users/{created['id']}"
        assert response.headers["Location"] == f"https://movie-bag.example{path}"
        assert api.get(path, token=root["token"]).json() == created
        assert created == read_me(api, api.log_in().json())
        expected = {"email": ADA["email"], "name": "Ada", "role": "user"} | given
        assert created == created | expected
        assert_error(api.post("/api/users", **request), 400, "EmailAlreadyExistsError")

    @pytest.mark.parametrize("field", INVALID)
    def test_what_signup_refuses_is_refused(self, api, root, field):
        body = ADA | {field: INVALID[field]}
        response = api.post("/api/users", json=body, token=root["token"])
        assert assert_error(response, 400, "SchemaValidationError").keys() == {field}
        assert User.objects.count() == 1


class TestOtherUsers:
    def test_promotion_during_a_deletion_refuses_the_deletion(self, api, root, eve, monkeypatch):
        delete_mails = user_service._delete_mails

        def promote_first(user):
            delete_mails(user)
            users.set_role(user, ADMIN)

        monkeypatch.setattr(user_service, "_delete_mails", promote_first)
        path = f"/api/users/{eve['id']}"
        assert_error(api.delete(path, token=root["token"]), 409, "ConflictError")
        assert api.get(path, token=root["token"]).json()["role"] == "admin"

    def test_admin_reads_renames_and_deletes_another(self, api, root, eve):
        path = f"/api/users/{eve['id']}"
        response = api.patch(path, json={"name": "Eve", "role": "user"}, token=root["token"])
        assert response.json() == api.get(path, token=root["token"]).json() == read_me(api, eve)
        assert read_me(api, eve)["name"] == "Eve"
        # Her role is as it was, so her session is still active.
        eve = api.refresh(eve["refresh_token"]).json()
        assert api.delete(path, token=root["token"]).status_code == 200
        assert not is_logged_in(api, eve)
        assert_error(api.get(path, token=root["token"]), 404, "UserNotExistsError")

    @pytest.mark.parametrize(
        ("old", "new", "status"), [("user", "admin", 200), ("admin", "user", 403)]
    )
    def test_change_of_role_revokes_the_sessions(self, api, root, old, new, status):
        eve = join(api, "eve@example.com", old)
        path = f"/api/users/{eve['id']}"
        response = api.patch(path, json={"role": new}, token=root["token"])
        assert (response.status_code, response.json()["role"]) == (200, new)
        assert not is_logged_in(api, eve)
        token = api.log_in(email=eve["email"]).json()["token"]
        assert api.get("/api/users", token=token).status_code == status
        assert is_logged_in(api, root)

    def test_unknown_id_is_not_found(self, api, root):
        for user_id in ("0" * 24, "x", "0" * 12, "0" * 23, "%00", "$ne", "é"):
            for method, body in METHODS.items():
                path = f"/api/users/{user_id}"
                response = api.request(method, path, json=body, token=root["token"])
                assert_error(response, 404, "UserNotExistsError")

    @pytest.mark.parametrize("target", ["an admin", "an unknown id", "no id", "all users"])
    def test_only_an_admin_may(self, api, root, eve, target):
        ids = {"an admin": root["id"], "an unknown id": str(ObjectId()), "no id": "x"}
        path = f"/api/users/{ids[target]}" if target in ids else "/api/users"
        for method, body in (METHODS if target in ids else {"GET": None, "POST": ADA}).items():
            request = {"method": method, "url": path, "json": body}
            assert_error(api.request(**request), 401, "MissingTokenError")
            refused = api.request(**request, token=root["refresh_token"])
            assert_error(refused, 401, "BadTokenError")
            forbidden = api.request(**request, token=eve["token"])
            assert assert_error(forbidden, 403, "ForbiddenError") == {}
        assert (User.objects.count(), read_me(api, root)["name"]) == (2, None)


class TestLastAdmin:
    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            *(("DELETE", path, CURRENT) for path in ("me", "{id}")),
            *(("PATCH", "{id}", {"role": "user"} | name) for name in ({}, {"name": "New"})),
        ],
    )
    def test_last_admin_is_not_changed(self, api, root, eve, method, path, body):
        before, url = read_me(api, root), f"/api/users/{path.format(**root)}"
        response = api.request(method, url, json=body, token=root["token"])
        assert_error(response, 409, "LastAdminError")
        assert read_me(api, root) == before
        assert is_logged_in(api, root)

    @pytest.mark.parametrize("target", ["each other", "themselves"])
    @pytest.mark.parametrize(
        ("method", "body"),
        [("PATCH", {"role": "user"}), ("PATCH", {"disabled": True}), ("DELETE", CURRENT)],
    )
    def test_one_of_two_simultaneous_admins_remains(self, api, method, body, target):
        for number in range(10):
            admins = [create_admin(api.app, f"{side}{number}@example.com") for side in "ab"]
            targets = admins if target == "themselves" else admins[::-1]
            requests = [
                {"method": method, "url": f"/api/users/{user['id']}", "token": admin["token"]}
                for admin, user in zip(admins, targets, strict=True)
            ]
            responses = run_simultaneously(
                2, lambda index, requests=requests: api.request(**requests[index], json=body)
            )
            assert {response.status_code for response in responses} <= {200, 401, 403, 409}
            assert users.find_active_admins().first()
            User.objects.delete()

    def test_refused_change_writes_nothing_even_for_a_moment(self, api, root, monkeypatch):
        monkeypatch.setattr(Collection, "update_one", None)  # not even to restore the role
        for method, body in (("PATCH", {"role": "user"}), ("DELETE", CURRENT)):
            path = f"/api/users/{root['id']}"
            response = api.request(method, path, json=body, token=root["token"])
            assert_error(response, 409, "LastAdminError")
