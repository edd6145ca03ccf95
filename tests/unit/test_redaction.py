"""What of a mail server's reply may be logged."""

import base64

import pytest

from infra.redaction import MAX_KEPT, REMOVED, redact

EMAIL = "ada.lovelace@example.com"
SECRETS = (EMAIL, "Ada Byron", "hush-hush")
ENCODED = base64.b64encode(EMAIL.encode()).decode()


class TestAddresses:
    @pytest.mark.parametrize(
        "text",
        [
            EMAIL,
            f"<{EMAIL}>:",
            EMAIL.upper(),
            "ada.lovelace",
            "mailbox:Ada.Lovelace,",
            "adalovelace@mail.example.com",
            "ada.lovelace (at) example.com",
            "ada.lovelace[AT]example.com",
            "ada.lovelace @ example.com",
            "ada.lovelace at example.com",
            "ada.lovelace%40example.com",
            "%61da.lovelace%40example.com",
            "rfc822;ada.lovelace+40example.com",
            "ada.lovelace=40example.com",
            "bounce-ada.lovelace=example.com@list.example",
            "ada.lovelace&#64;example.com",
            "\uff41\uff44\uff41.lovelace\uff20example.com",
            ENCODED,
            ENCODED.rstrip("="),
            base64.b64encode(b"ada.lovelace").decode(),
            "Lovelace, Ada",
            "Byron",
            "ADALOVELACE",
        ],
    )
    def test_address_of_the_email_is_removed(self, text):
        redacted = redact(f"5.1.1 no {text} here", SECRETS).lower()
        assert redacted.startswith("5.1.1 no")
        assert redacted.endswith("here")
        for part in ("ada", "lovelace", "byron", ENCODED[:8].lower()):
            assert part not in redacted

    @pytest.mark.parametrize("text", ["eve@example.org", "<eve@x>", "eve(at)x.example"])
    def test_other_addresses_are_removed(self, text):
        assert redact(f"see {text} now", SECRETS).replace(REMOVED, "").split() in (
            ["see", "now"],
            ["see", "<", ">", "now"],
        )

    @pytest.mark.parametrize(("local_part", "text"), [("no", "nothing"), ("a", "at a mailbox")])
    def test_short_local_part_is_removed_as_a_word(self, local_part, text):
        redacted = redact(f"550 {text} {local_part}", [f"{local_part}@example.com"])
        assert redacted.endswith(REMOVED)
        assert text.partition(" ")[0] in redacted


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            "hush-hush",
            "HUSH-HUSH!",
            base64.b64encode(b"hush-hush").decode(),
            "https://movie-bag.example/reset/abc",
            "movr://reset?token=abc",
            "eyJhbGciOi.x.y",
            "x" * 40,
            "d9443c01a7336-2a1b2c3d4e5f6",
        ],
    )
    def test_secret_link_and_token_are_removed(self, text):
        assert redact(f"bad {text}", SECRETS).rstrip("!") == f"bad {REMOVED}"


class TestForm:
    def test_reason_stays(self):
        reason = "4.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org; try later"
        assert redact(reason, SECRETS) == reason

    @pytest.mark.parametrize("text", ["a\r\nb", "a\x1b[31mb", "a\u202eb", "a\0b", "a \t b"])
    def test_text_is_one_printable_line(self, text):
        redacted = redact(text, ())
        assert redacted.isprintable()
        assert redacted.split()[0] == "a"

    def test_text_is_bounded(self):
        assert len(redact("no " * 10_000, ())) == MAX_KEPT

    def test_half_an_address_at_the_cut_is_removed(self):
        assert "lov" not in redact("x " * 490 + "no ada.lovelace@example.com", SECRETS)
