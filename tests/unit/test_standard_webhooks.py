"""Signatures of webhooks, against the example of the standard and its library."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from infra import standard_webhooks

# The example of the standard's own tests.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WEBHOOK_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
TIMESTAMP = 1614265330
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_example_of_the_standard_has_its_signature():
    headers = standard_webhooks.sign([SECRET], WEBHOOK_ID, TIMESTAMP, BODY)
    assert headers == {
        "webhook-id": WEBHOOK_ID,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": SIGNATURE,
    }


def test_each_secret_verifies():
    now = int(datetime.now(UTC).timestamp())
    headers = standard_webhooks.sign([OTHER_SECRET, SECRET], WEBHOOK_ID, now, BODY)
    for secret in (SECRET, OTHER_SECRET):
        assert Webhook(secret).verify(BODY, headers) == {"test": 2432232314}
    with pytest.raises(WebhookVerificationError):
        Webhook(f"whsec_{'A' * 32}").verify(BODY, headers)
