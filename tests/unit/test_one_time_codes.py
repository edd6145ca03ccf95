"""Codes of an authenticator app (RFC 6238), and recovery codes."""

import base64
import re
from urllib.parse import unquote
from xml.etree import ElementTree

import pyotp
import pytest

from infra.one_time_codes import (
    digest,
    find_step,
    new_recovery_codes,
    new_secret,
    qr_image,
    totp_uri,
)

# RFC 6238, Appendix B, SHA-1: the codes there have eight digits, of which ours are the last six.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
SECONDS, STEP = 1234567890, 1234567890 // 30
CODE = "005924"
# The first two steps in a row that have one code.
COLLISION = (910737, "911617")
MIN_BITS = 112  # NIST SP 800-63B §3.1.2.2


class TestFindStep:
    @pytest.mark.parametrize(("seconds", "code"), VECTORS)
    def test_codes_are_those_of_rfc_6238(self, seconds, code):
        assert find_step(SECRET, code[2:], seconds) == seconds // 30

    @pytest.mark.parametrize(
        ("now", "found"),
        [
            ((STEP - 1) * 30 - 1, None),
            ((STEP - 1) * 30, STEP),
            (STEP * 30 - 0.5, STEP),
            (STEP * 30, STEP),
            ((STEP + 2) * 30 - 0.5, STEP),
            ((STEP + 2) * 30, None),
        ],
    )
    def test_code_is_accepted_a_step_before_and_after(self, now, found):
        assert find_step(SECRET, CODE, now) == found

    @pytest.mark.parametrize("code", ["", "5924", "005925", "89005924", " 005924", "005924 "])
    def test_other_codes_are_of_no_step(self, code):
        assert find_step(SECRET, code, SECONDS) is None

    def test_code_of_another_secret_is_of_no_step(self):
        assert find_step(new_secret(), CODE, SECONDS) is None

    def test_later_step_counts_where_two_have_one_code(self):
        # So a code that has been used works in neither.
        step, code = COLLISION
        for now in (step * 30, (step + 1) * 30):
            assert find_step(SECRET, code, now) == step + 1


class TestSecret:
    def test_secret_has_160_random_bits(self):
        secrets = {new_secret() for _ in range(100)}
        assert len(secrets) == 100
        assert {len(base64.b32decode(secret)) for secret in secrets} == {20}

    @pytest.mark.parametrize("email", ["ada@example.com", "ada+b&c=d?e#f@example.com"])
    def test_uri_holds_what_an_app_needs(self, email):
        app = pyotp.parse_uri(totp_uri(SECRET, email, "Movie-bag"))
        assert (app.secret, app.name, app.issuer) == (SECRET, email, "Movie-bag")
        assert (app.interval, app.digits) == (30, 6)

    def test_qr_code_is_an_svg_image_with_a_white_border(self):
        prefix, _, text = qr_image(totp_uri(SECRET, "ada@example.com", "Movie-bag")).partition(",")
        assert prefix.startswith("data:image/svg+xml")
        image = ElementTree.fromstring(unquote(text))
        assert image.tag == "{http://www.w3.org/2000/svg}svg"
        assert "#fff" in ElementTree.tostring(image, encoding="unicode")

    def test_qr_codes_of_two_texts_differ(self):
        assert qr_image("one") != qr_image("two")


class TestRecoveryCodes:
    def test_ten_different_codes_are_made(self):
        codes = [code for _ in range(20) for code in new_recovery_codes()]
        assert len(new_recovery_codes()) == 10
        assert len(set(codes)) == 200

    def test_code_has_enough_bits_in_groups_of_four(self):
        for code in new_recovery_codes():
            assert re.fullmatch("[a-z2-7]{4}(-[a-z2-7]{4})+", code)
            assert 5 * len(code.replace("-", "")) >= MIN_BITS

    def test_every_letter_of_a_code_is_random(self):
        codes = [code for _ in range(50) for code in new_recovery_codes()]
        for letters in zip(*(code.replace("-", "") for code in codes), strict=True):
            assert len(set(letters)) > 16

    @pytest.mark.parametrize("change", [str.upper, lambda code: code.replace("-", " ")])
    def test_digest_is_that_of_the_code_as_it_is_typed(self, change):
        (code, *_) = new_recovery_codes()
        for typed in (change(code), change(code.replace("-", "")), f" {change(code)} "):
            assert digest(typed) == digest(code)

    def test_digests_of_two_codes_differ(self):
        one, two, *_ = new_recovery_codes()
        assert digest(one) != digest(two)
        assert one.replace("-", "") not in digest(one)
