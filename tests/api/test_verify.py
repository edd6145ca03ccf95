"""Verifying an access token."""

from database.models import User
from tests.support.client import ADA


class TestVerify:
    def test_response_names_the_user_and_the_seconds_left(self, api, ada):
        body = api.verify(ada["token"]).json()
        assert body.keys() == {"id", "email", "expires_in", "message"}
        assert body["id"] == str(User.objects.get().id)
        assert body["email"] == ADA["email"]
        assert 890 < body["expires_in"] <= 900

    def test_revoked_token_is_refused_before_unknown_fields(self, api, ada):
        url = "/api/auth/verify?x=1"
        assert api.get(url, token=ada["token"]).status_code == 400
        User.objects.update(set__sessions={})
        assert api.get(url, token=ada["token"]).status_code == 401
