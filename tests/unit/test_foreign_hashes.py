"""Password hashes of other systems: which are read, and what each check costs."""

import pytest

from infra import foreign_hashes, password_hashing
from infra.foreign_hashes import UnknownHash, parse
from infra.password_hashing import FOREIGN, hash_password, verify_password
from tests.support.hashes import REAL_HASHES, ComputedUnits

SALT, DIGEST = "c2FsdHNhbHQ", "A" * 43
B64 = "A" * 43 + "="
BCRYPT = "." * 53
KEY = "A" * 86 + "=="
WITHIN = [
    f"$2b$14${BCRYPT}",
    f"$2b$04${BCRYPT}",
    f"pbkdf2_sha256$1000000$salt${B64}",
    f"pbkdf2:sha256:1000000$salt${'0' * 64}",
    f"$argon2id$v=19$m=65536,t=8,p=16${SALT}${DIGEST}",
    f"scrypt$65536$salt$8$4${B64}",
    f"scrypt:32768:1:16$salt${'0' * 128}",
    f"firebase_scrypt$8$16$Bw==${KEY}${SALT}=${KEY}",
    f"$P$E{'a' * 30}",
]
ABOVE = [
    f"$2b$15${BCRYPT}",
    f"$2b$03${BCRYPT}",
    f"pbkdf2_sha256$1000001$salt${B64}",
    f"pbkdf2_sha256$0$salt${B64}",
    f"pbkdf2:sha256:1000001$salt${'0' * 64}",
    f"$argon2id$v=19$m=65537,t=1,p=1${SALT}${DIGEST}",
    f"$argon2id$v=19$m=65536,t=9,p=1${SALT}${DIGEST}",
    f"$argon2id$v=19$m=65536,t=1,p=17${SALT}${DIGEST}",
    f"$argon2id$v=19$m=7,t=1,p=1${SALT}${DIGEST}",
    f"$argon2id$v=19$m=8,t=0,p=1${SALT}${DIGEST}",
    f"$argon2id$v=19$m=8,t=1,p=0${SALT}${DIGEST}",
    f"scrypt$131072$salt$8$1${B64}",
    f"scrypt$65536$salt$8$5${B64}",
    f"scrypt$65536$salt$1$1${B64}",
    f"scrypt$16$salt$8$17${B64}",
    f"scrypt$1000$salt$8$1${B64}",
    f"scrypt$8$salt$8$1${B64}",
    f"scrypt$16$salt$0$1${B64}",
    f"scrypt$16$salt$8$0${B64}",
    f"scrypt:131072:8:1$salt${'0' * 128}",
    f"firebase_scrypt$8$17$Bw==${KEY}${SALT}=${KEY}",
    f"firebase_scrypt$8$9999999$Bw==${KEY}${SALT}=${KEY}",
    f"$P$F{'a' * 30}",
]
UNKNOWN = [
    "",
    "password",
    f"$2x$10${BCRYPT}",
    f"$2b$10${'z' * 53}",
    f"$2b$1\uff10${BCRYPT}",
    f"$2b$10${BCRYPT}\n",
    f"pbkdf2_sha256$1000$half \ud800${B64}",
    f"pbkdf2_sha256$1000$nul \0${B64}",
    "pbkdf2_sha256$1000$salt$A",
    f"pbkdf2_sha512$1000$salt${B64}",
    f"pbkdf2_sha256${'9' * 900}$salt${B64}",
    f"pbkdf2_sha256$1000${'s' * 1000}${B64}",
    f"$argon2id$v=16$m=8,t=1,p=1${SALT}${DIGEST}",
    f"$argon2id$v=19$m=8,t=1,p=1$\xe9${DIGEST}",
    # Any password would match an empty digest.
    "firebase_scrypt$8$14$$$$",
    "firebase_scrypt$8$14$Bw==$QQ==$QQ==$QQ==",
    f"firebase_scrypt$8$14$Bw==${KEY}$QQ==$QQ==",
    "md5$salt$0123456789abcdef0123456789abcdef",
]


def named(texts):
    return [ascii(text[:40]) for text in texts]


class TestParse:
    @pytest.mark.parametrize(("password", "text"), REAL_HASHES.values(), ids=REAL_HASHES)
    def test_hash_of_a_real_system_matches_its_password(self, password, text):
        found = parse(text)
        assert found.matches(password.encode())
        assert not found.matches(f"{password}x".encode())

    @pytest.mark.parametrize("text", WITHIN, ids=named(WITHIN))
    def test_hash_at_the_ceiling_is_read(self, text):
        assert parse(text).cost > 0

    @pytest.mark.parametrize("text", ABOVE, ids=named(ABOVE))
    def test_hash_above_a_ceiling_is_refused(self, text):
        with pytest.raises(UnknownHash, match="costs too much"):
            parse(text)

    @pytest.mark.parametrize("text", UNKNOWN, ids=named(UNKNOWN))
    def test_other_text_is_refused(self, text):
        with pytest.raises(UnknownHash, match="Not a hash of a known kind"):
            parse(text)

    def test_bcrypt_of_others_is_cut_off_at_72_bytes(self):
        text = foreign_hashes.bcrypt.hashpw(b"x" * 72, foreign_hashes.bcrypt.gensalt(4)).decode()
        assert parse(text).matches(b"x" * 100)
        assert not parse(text).matches(b"x" * 71)

    def test_nul_matches_no_bcrypt_hash(self):
        text = foreign_hashes.bcrypt.hashpw(b"abc", foreign_hashes.bcrypt.gensalt(4)).decode()
        assert not parse(text).matches(b"abc\0abc")


class TestCost:
    """While foreign hashes are stored, each check computes the same for every user."""

    STORED = (
        f"$2a$05${BCRYPT}",
        f"$2b$07${BCRYPT}",
        f"pbkdf2_sha256$1000$salt${B64}",
        f"pbkdf2:sha256:3000$salt${'0' * 64}",
        f"$argon2i$v=19$m=8,t=1,p=1${SALT}${DIGEST}",
        f"$argon2id$v=19$m=16,t=1,p=2${SALT}${DIGEST}",
        f"scrypt$16$salt$8$1${B64}",
        f"firebase_scrypt$8$5$Bw==${KEY}${SALT}=${KEY}",
        f"$P$1{'a' * 30}",
        f"$H$3{'a' * 30}",
    )

    @pytest.fixture
    def foreign(self):
        """Return the highest cost of each kind that is stored."""
        costs = {}
        for found in map(parse, self.STORED):
            costs[found.kind] = max(found.cost, costs.get(found.kind, 0))
        return costs

    @pytest.fixture
    def units(self, monkeypatch):
        return ComputedUnits(monkeypatch)

    @pytest.mark.parametrize("typed", ["wrong", "x" * 1024, "with \0"], ids=len)
    def test_every_check_computes_the_same(self, foreign, units, typed):
        computed = {}
        ours = [None, hash_password("a", 4), hash_password("a", 5), f"{FOREIGN}of another version"]
        for stored in (*ours, *(FOREIGN + text for text in self.STORED)):
            units.clear()
            assert not verify_password(typed, stored, 5, foreign)
            computed[stored] = dict(units)
        assert computed[None]["bcrypt"] == 2**5 + 2**7
        assert computed[None]["pbkdf2"] == 3000
        assert computed[None].keys() >= {"m=16,t=1,p=2", "scrypt (32, 8, 1)"}
        assert {stored: it for stored, it in computed.items() if it != computed[None]} == {}

    def test_nothing_else_is_computed_without_foreign_hashes(self, units):
        verify_password("wrong", None, 5, {})
        assert units == {"bcrypt": 2**5}

    def test_foreign_hash_is_outdated(self):
        assert password_hashing.is_outdated("a", f"{FOREIGN}$2b$14${BCRYPT}", 4)
