"""Development's inbox, and that production has none."""

import html
import re

import pytest

from database.models import Mail
from services import inbox, outbox
from tests.conftest import ADA, wait_until
from tests.smtp import free_port


@pytest.fixture
def dev(make_app, http, smtp):
    """Return a client of an application in development, where Ada has an account."""
    http.app = make_app(APP_ENV="development")
    http.sign_up(name="Ada")
    return http


def forget(api, state="sent"):
    """Forget the password; return the id of the mail once it is in that state."""
    api.forgot()
    return str(wait_until(lambda: Mail.objects(state=state).first()).id)


def rows(api):
    """Return what the inbox shows of each mail."""
    page = re.sub(r"<thead>.*?</thead>", "", api.get("/dev/mail").text, flags=re.S)
    found = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [" ".join(re.sub(r"<.*?>", " ", row).split()) for row in found]


def frame_of(page):
    """Return the attributes of the frame that shows a mail, and what it shows."""
    attributes, shown = re.search(r'<iframe (.*?)srcdoc="(.*?)"', page, re.S).groups()
    return attributes, html.unescape(shown)


def test_a_mail_that_was_sent_is_shown_with_address_subject_and_state(dev, mailbox):
    mail_id = forget(dev)
    assert f'<a href="/dev/mail/{mail_id}">Reset your Movie-bag password</a>' in (
        dev.get("/dev/mail").text
    )
    assert re.fullmatch(
        r"ada@example.com Reset your Movie-bag password 20[\d-]+ [\d:]+ UTC sent", rows(dev)[0]
    )
    assert len(mailbox.mails) == 1


def test_a_mail_is_shown_as_html_in_a_frame_without_rights_and_as_text(dev):
    page = dev.get(f"/dev/mail/{forget(dev)}").text
    mail = Mail.objects.get()
    attributes, shown = frame_of(page)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in attributes
    assert shown == "<base target=_blank>" + mail.html
    text = re.search(r"<pre.*?>(.*?)</pre>", page, re.S)[1]
    assert html.unescape(re.sub(r"<.*?>", "", text)) == mail.text


@pytest.mark.parametrize("reset_url", [None, "movr://reset-password?token={token}"])
def test_the_link_in_the_text_can_be_clicked(make_app, http, reset_url):
    http.app = make_app(APP_ENV="development", RESET_URL=reset_url)
    http.sign_up()
    page = http.get(f"/dev/mail/{forget(http)}").text
    begin = (reset_url or "https://movie-bag.example/reset/{token}").replace("{token}", "")
    assert re.search(rf'<pre.*<a href="{re.escape(begin)}eyJ\S+" [^>]*target="_blank"', page, re.S)


def test_without_a_mail_server_a_mail_is_shown_as_well(make_app, http):
    http.app = make_app(APP_ENV="development", MAIL_SERVER=None)
    http.sign_up()
    forget(http)
    assert rows(http)[0].endswith(" sent")


def test_a_mail_that_waits_is_shown_with_the_reason(make_app, http):
    http.app = make_app(APP_ENV="development", MAIL_PORT=free_port())
    http.sign_up()
    http.forgot()
    wait_until(lambda: Mail.objects(last_error__exists=True).first())
    assert "waiting ConnectionRefusedError" in rows(http)[0]
    page = http.get(f"/dev/mail/{Mail.objects.get().id}").text
    assert "written when it is sent" in page
    assert "<iframe" not in page


def test_a_mail_that_was_given_up_is_shown_with_the_reason(dev, mailbox):
    mailbox.reply = lambda recipient: "550 No such user"
    forget(dev, state="given_up")
    assert rows(dev)[0].endswith("given up SMTP 550")


def test_the_newest_mail_comes_first(dev):
    forget(dev)
    dev.forgot("nobody@example.com")
    assert [row.split()[0] for row in rows(dev)] == ["nobody@example.com", ADA["email"]]


def test_an_address_without_an_account_leaves_no_copy(dev):
    dev.forgot("nobody@example.com")
    wait_until(lambda: Mail.objects.first() is None)
    assert rows(dev) == []


def test_only_the_newest_copies_are_kept(dev, monkeypatch):
    monkeypatch.setattr(inbox, "KEPT", 2)
    for _ in range(4):
        dev.forgot()
        wait_until(lambda: Mail.objects(state=Mail.WAITING).first() is None)
    assert len(rows(dev)) == Mail.objects.count() == 2


def test_what_is_no_mail_is_not_shown(dev):
    with dev.app.app_context():
        wish_id = outbox.put(outbox.FORGET, "0" * 24)
        assert rows(dev) == []
        assert dev.get(f"/dev/mail/{wish_id}").status_code == 404


@pytest.mark.parametrize("mail_id", ["0" * 24, "nonsense", "%00", "é"])
def test_a_mail_that_is_not_there_is_a_page_that_says_so(dev, mail_id):
    answer = dev.get(f"/dev/mail/{mail_id}")
    assert answer.status_code == 404
    assert "There is no such mail" in answer.text


def test_a_deleted_users_mails_go(dev):
    token = dev.log_in().json()["token"]
    forget(dev)
    body = {"current_password": ADA["password"]}
    assert dev.delete("/api/users/me", json=body, token=token).status_code == 200
    assert rows(dev) == []


@pytest.mark.parametrize("path", ["/dev/mail", "/dev/mail/" + "0" * 24])
@pytest.mark.parametrize(
    ("host", "asks_from", "status"),
    [
        ("localhost:5000", "127.0.0.1", 200),
        ("[::1]:5000", "::1", 200),
        ("movie-bag.example", "127.0.0.1", 200),
        ("127.0.0.1:5000", "192.168.1.7", 404),
        ("evil.example:5000", "127.0.0.1", 404),
        ("localhost.evil.example", "127.0.0.1", 404),
    ],
)
def test_only_this_machine_by_a_name_of_its_own_sees_the_mails(dev, path, host, asks_from, status):
    asked = {"REMOTE_ADDR": asks_from, "HTTP_HOST": host}
    answer = dev.app.test_client().get(path, environ_overrides=asked)
    assert answer.status_code == (status if path == "/dev/mail" else 404)
    assert ("on this machine alone" in answer.text) == (status == 404)


def test_production_has_no_inbox_and_keeps_no_copy(api, ada, mailbox):
    api.forgot()
    mailbox.wait_for(1)
    wait_until(lambda: Mail.objects.first() is None)
    for path in ("/dev/mail", "/dev/mail/" + "0" * 24):
        answer = api.get(path)
        assert answer.status_code == 404
        assert answer.json()["error"] == "NotFoundError"
