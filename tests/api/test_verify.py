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
