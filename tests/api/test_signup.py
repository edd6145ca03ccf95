"""Signing up."""

import pytest

from database.models import User
from tests.support.assertions import assert_error
from tests.support.client import ADA
from tests.support.concurrency import run_simultaneously


class TestSignup:
    def test_response_has_the_id_of_the_new_user(self, api):
        response = api.sign_up()
        assert response.status_code == 200
        user_id = str(User.objects.get(email=ADA["email"]).id)
        assert response.json()["id"] == user_id
        location = f"https://movie-bag.example/api/users/{user_id}"
        assert response.headers["Location"] == location

    def test_location_is_of_public_url_whatever_host_is_sent(self, api):
        headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
        response = api.post("/api/auth/signup", json=ADA, headers=headers)
        assert response.headers["Location"].startswith("https://movie-bag.example/api/users/")
        assert "Location" not in api.sign_up().headers

    def test_email_signs_up_once_however_it_is_written(self, api):
        api.sign_up(email="ada@example.com")
        response = api.sign_up(email="  ADA@Example.COM ")
        assert_error(response, 400, "EmailAlreadyExistsError")
        assert response.json()["message"] == "User with given email address already exists"

    def test_one_of_24_simultaneous_signups_succeeds(self, api):
        statuses = run_simultaneously(24, lambda _: api.sign_up().status_code)
        assert sorted(statuses) == [200] + [400] * 23
        assert len(User.objects(email=ADA["email"])) == 1

    def test_non_ascii_domain_is_stored_in_ascii(self, api):
        api.sign_up(email="ada@bücher.example")
        assert User.objects.get().email == "ada@xn--bcher-kva.example"
        assert api.log_in(email="ADA@BÜCHER.example").status_code == 200

    @pytest.mark.parametrize(
        "email", ["2012-05-05@example.com", "1917@example.com", "true@x.example"]
    )
    def test_email_like_a_date_or_a_number_is_a_text(self, api, mailbox, email):
        api.sign_up(email=email)
        assert_error(api.sign_up(email=email), 400, "EmailAlreadyExistsError")
        token = api.log_in(email=email).json()["token"]
        api.forgot(email)
        assert mailbox.wait_for(1)[0]["To"] == email
        body = {"current_password": ADA["password"]}
        assert api.delete("/api/users/me", json=body, token=token).status_code == 200
        assert api.log_in(email=email).status_code == 401
