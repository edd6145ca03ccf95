"""One-time codes: those of an authenticator app (TOTP, RFC 6238), and recovery codes."""

import base64
import hashlib
import hmac
import secrets

import pyotp
import segno

STEP_SECONDS = 30
# A clock may be wrong by a step, or the user slow (RFC 6238 §5.2).
STEPS_AROUND = (-1, 0, 1)
# 120 bits: from 112 on a code can be hashed without a salt (NIST SP 800-63B §3.1.2.2).
RECOVERY_CODE_BYTES = 15
RECOVERY_CODES = 10
GROUP = 4


def new_secret() -> str:
    """Return a secret of 160 bits as base32, which an app and the server share."""
    return pyotp.random_base32()


def totp_uri(secret: str, email: str, issuer: str) -> str:
    """Return the URI that an authenticator app reads."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer)


def qr_image(text: str) -> str:
    """Return a QR code as the data URI of an SVG, white around it for cameras."""
    return str(segno.make(text).svg_data_uri(scale=4, border=4, light="white"))


def find_step(secret: str, code: str, now: float) -> int | None:
    """Return the number of the time step whose code this is; None if it is of no step around now.

    Who uses it stores the number, and accepts later ones only: so a code works once.
    """
    totp, step = pyotp.TOTP(secret), int(now) // STEP_SECONDS
    around = [step + difference for difference in STEPS_AROUND]
    # Every one is compared, and in one time whatever digits are wrong.
    right = [it for it in around if hmac.compare_digest(totp.generate_otp(it), code)]
    return max(right, default=None)


def new_recovery_codes() -> list[str]:
    """Return recovery codes, grouped for reading; only their digests are stored."""
    return [_new_recovery_code() for _ in range(RECOVERY_CODES)]


def _new_recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(RECOVERY_CODE_BYTES)).decode().lower()
    return "-".join(text[start : start + GROUP] for start in range(0, len(text), GROUP))


def digest(recovery_code: str) -> str:
    """Return what is stored of a recovery code, however it was typed."""
    letters = "".join(recovery_code.replace("-", " ").split()).lower()
    return hashlib.sha256(letters.encode()).hexdigest()
