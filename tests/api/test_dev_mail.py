"""Development's emails at /dev/mail; production has none."""

import html
import re

import pytest

from database import sent_mail
from database.models import Job
from database.sent_mail import SentMail
from jobs import queue
from resources.dev_mail import LocalPage
from resources.routes import DEVELOPMENT_ROUTES
from services import sent_mail_service
from services.mail_kinds import ACCOUNT_DELETED, MAILS
from services.mail_queue import SEND_EMAIL
from services.movie_service import DELETE_MOVIES
from tests.support.client import ADA
from tests.support.concurrency import wait_until
from tests.support.processes import free_port


@pytest.fixture
def serve(make_app, http):
    """Return a function that serves development with these settings; Ada has an account."""

    def serve(**settings):
        http.app = make_app(APP_ENV="development", **settings)
        http.sign_up(name="Ada")
        return http

    return serve


@pytest.fixture
def api(serve):
    return serve()


def send_mail(api):
    """Request a reset email; return the id of its copy."""
    api.forgot()
    return str(wait_until(SentMail.objects.first).id)


def rows(api):
    """Return the text of each row of the list."""
    page = re.sub(r"<thead>.*?</thead>", "", api.get("/dev/mail").text, flags=re.S)
    found = re.findall(r"<tr>(.*?)</tr>", page, re.S)
    return [" ".join(re.sub(r"<.*?>", " ", row).split()) for row in found]


class TestList:
    def test_sent_mail_has_email_subject_time_and_state(self, api, mailbox):
        mail_id = send_mail(api)
        (mail,) = mailbox.mails
        link = f'<a href="/dev/mail/{mail_id}">{mail["Subject"]}</a>'
        assert link in api.get("/dev/mail").text
        assert re.fullmatch(
            rf"ada@example.com {mail['Subject']} 20[\d-]+ [\d:]+ UTC sent", rows(api)[0]
        )

    def test_mail_is_shown_without_a_mail_server(self, serve):
        api = serve(MAIL_SERVER=None)
        send_mail(api)
        assert rows(api)[0].endswith(" sent")

    def test_failed_mail_has_the_reason(self, api, mailbox):
        mailbox.reply = lambda recipient: "550 No such user"
        api.forgot()
        wait_until(lambda: Job.objects(state=Job.FAILED).first())
        assert rows(api)[0].endswith("failed SMTP 550 No such user")

    def test_newest_mail_is_first(self, api):
        send_mail(api)
        api.forgot("nobody@example.com")
        assert [row.split()[0] for row in rows(api)] == ["nobody@example.com", ADA["email"]]

    def test_sent_mail_whose_job_is_not_deleted_yet_is_there_once(self, api):
        mail_id = send_mail(api)
        arguments = {"mail": "reset_password", "email": ADA["email"]}
        Job(id=mail_id, kind=SEND_EMAIL, arguments=arguments, created_at=0.0, run_at=1e10).save()
        (row,) = [row for row in rows(api) if "eset" in row]
        assert row.endswith("sent")

    def test_email_without_an_account_has_no_copy(self, api):
        api.forgot("nobody@example.com")
        wait_until(lambda: Job.objects.first() is None)
        assert rows(api) == []

    def test_only_the_newest_copies_are_kept(self, api, monkeypatch):
        monkeypatch.setattr(sent_mail, "KEPT", 2)
        for _ in range(4):
            api.forgot()
        wait_until(lambda: Job.objects.first() is None)
        assert len(rows(api)) == SentMail.objects.count() == 2
        monkeypatch.setattr(sent_mail_service, "KEPT", 1)
        assert len(rows(api)) == 1

    def test_job_that_is_no_mail_is_not_shown(self, api):
        with api.app.app_context():
            job_id = queue.enqueue(DELETE_MOVIES, user_id="0" * 24)
        assert rows(api) == []
        assert api.get(f"/dev/mail/{job_id}").status_code == 404

    def test_mails_of_a_deleted_user_are_deleted(self, api):
        token = api.log_in().json()["token"]
        send_mail(api)
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=token).status_code == 200
        (row,) = rows(api)
        assert row.startswith(ADA["email"])
        notice = Job.objects.first() or SentMail.objects.first()
        assert notice.arguments["mail"] == ACCOUNT_DELETED
        assert ADA["email"] in api.get(f"/dev/mail/{notice.id}").text


class TestMail:
    def test_html_is_in_a_frame_without_rights_beside_the_text(self, api):
        page = api.get(f"/dev/mail/{send_mail(api)}").text
        mail = SentMail.objects.get()
        attributes, srcdoc = re.search(r'<iframe (.*?)srcdoc="(.*?)"', page, re.S).groups()
        assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in attributes
        assert html.unescape(srcdoc) == "<base target=_blank>" + mail.html
        text = re.search(r"<pre.*?>(.*?)</pre>", page, re.S)[1]
        assert html.unescape(re.sub(r"<.*?>", "", text)) == mail.text

    @pytest.mark.parametrize("reset_url", [None, "movr://reset-password?token={token}"])
    def test_link_in_the_text_can_be_clicked(self, serve, reset_url):
        api = serve(RESET_URL=reset_url)
        page = api.get(f"/dev/mail/{send_mail(api)}").text
        url = (reset_url or "https://movie-bag.example/reset/{token}").replace("{token}", "")
        link = rf'<pre.*<a href="{re.escape(url)}eyJ\S+" [^>]*target="_blank"'
        assert re.search(link, page, re.S)

    def test_queued_mail_has_the_reason_and_no_text_yet(self, serve):
        api = serve(MAIL_PORT=free_port())
        api.forgot()
        wait_until(lambda: Job.objects(last_error__exists=True).first())
        assert "queued ConnectionRefusedError" in rows(api)[0]
        page = api.get(f"/dev/mail/{Job.objects.get().id}").text
        assert "written when it is sent" in page
        assert "<iframe" not in page

    def test_unknown_mail_is_not_found(self, api):
        for mail_id in ("0" * 24, "nonsense", "%00", "é"):
            response = api.get(f"/dev/mail/{mail_id}")
            assert response.status_code == 404
            assert "There is no such mail" in response.text


class TestPreview:
    def test_every_email_is_shown_in_every_language(self, api):
        assert '<a href="/dev/mail/preview">' in api.get("/dev/mail").text
        links = re.findall(r'<a href="(/dev/mail/preview/.*?)"', api.get("/dev/mail/preview").text)
        assert len(links) == 3 * len(MAILS)
        for link in links:
            page = api.get(link)
            assert page.status_code == 200
            locale = link.partition("=")[2].replace("_", "-")
            assert f"&lt;html lang=&#34;{locale}&#34;" in page.text
            assert '<html lang="en"' in page.text

    def test_text_is_beside_the_html(self, api):
        page = api.get("/dev/mail/preview/reset_password?locale=pt-BR").text
        assert "<h1>Redefina sua senha do Movie-bag</h1>" in page
        text = re.search(r"<pre.*?>(.*?)</pre>", page, re.S)[1]
        assert text.startswith("Olá, Ada!")
        assert "que vale por 10 minutos" in " ".join(text.split())

    @pytest.mark.parametrize("path", ["reset_password", "reset_password?locale=fr", "x?locale=en"])
    def test_unknown_email_or_language_is_not_found(self, api, path):
        assert api.get(f"/dev/mail/preview/{path}").status_code == 404


class TestAccess:
    @pytest.mark.parametrize(
        ("host", "client_ip", "status"),
        [
            ("localhost:5000", "127.0.0.1", 200),
            ("[::1]:5000", "::1", 200),
            ("LOCALHOST", "127.0.0.1", 200),
            ("127.0.0.2:5000", "127.9.9.9", 200),
            ("127.0.0.1:5000", "192.168.1.7", 404),
            ("127.0.0.1:5000", "0.0.0.0", 404),
            ("movie-bag.example", "127.0.0.1", 404),  # PUBLIC_URL's
            ("127.0.0.1.evil.example", "127.0.0.1", 404),
            ("0.0.0.0:5000", "127.0.0.1", 404),
            ("[::]:5000", "::1", 404),
            ("192.168.1.7:5000", "127.0.0.1", 404),
            ("evil.example:5000", "127.0.0.1", 404),
            ("localhost.evil.example", "127.0.0.1", 404),
        ],
    )
    def test_only_this_machine_by_its_own_name_is_served(self, api, host, client_ip, status):
        environ = {"REMOTE_ADDR": client_ip, "HTTP_HOST": host}
        for path in ("/dev/mail", "/dev/mail/" + "0" * 24):
            response = api.app.test_client().get(path, environ_overrides=environ)
            assert response.status_code == (status if path == "/dev/mail" else 404)
            assert ("on this machine alone" in response.text) == (status == 404)

    def test_every_page_of_dev_is_for_this_machine(self):
        pages = {url: view for url, view in DEVELOPMENT_ROUTES.items() if url.startswith("/dev/")}
        assert len(pages) == 4
        assert [url for url, view in pages.items() if not issubclass(view, LocalPage)] == []

    @pytest.mark.parametrize("proxies", [0, 1])
    @pytest.mark.parametrize(
        "name",
        [
            "X-Forwarded-For",
            "x-forwarded-host",
            "X-Forwarded-Proto",
            "Forwarded",
            "Via",
            "X-Real-IP",
            "CF-Connecting-IP",
            "True-Client-IP",
            "X-Client-IP",
        ],
    )
    def test_request_through_a_proxy_or_tunnel_is_refused(self, serve, name, proxies):
        api = serve(TRUSTED_PROXIES=proxies, PUBLIC_URL="http://localhost:5000")
        for value in ("127.0.0.1", ""):
            response = api.get("/dev/mail", headers={name: value, "Host": "localhost:5000"})
            assert response.status_code == 404
        assert api.get("/dev/mail", headers={"Accept-Via": "x"}).status_code == 200

    def test_production_has_no_pages_and_no_copies(self, make_app, http, mailbox):
        http.app = make_app()
        http.sign_up()
        http.forgot()
        mailbox.wait_for(1)
        wait_until(lambda: Job.objects.first() is None)
        assert SentMail.objects.first() is None
        for path in ("/dev/mail", "/dev/mail/" + "0" * 24):
            response = http.get(path)
            assert response.status_code == 404
            assert response.json()["error"] == "NotFoundError"
