"""Encryption of stored secrets: tampering, keys that rotate, and ids that stay."""

import pytest

from infra.secret_box import NoKeyOpens, decrypt, encrypt, key_id
from tests.support.tokens import KEY, OTHER_KEY

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
# SECRET under KEY, as an earlier version stored it.
EARLIER = {
    "key": "e8052d7bbd53648e",
    "text": "gAAAAABrCB2PlcSoDi69xR5GEyU0E37DA7dugxUQ5MS6hOH5AEHhDG6duWtIWS8ojodfrz"
    "rWu30U1f69xqlEcw1wuuEQzAqwfFEKlu5jtfztGCr7XC2c6kwV3Vmt1V65_NkW9JkcLugp",
}


def flipped(text, index):
    """Return a text with another letter at an index."""
    return text[:index] + ("A" if text[index] != "A" else "B") + text[index + 1 :]


class TestEncrypt:
    def test_secret_is_read_again(self):
        assert decrypt(encrypt(SECRET, [KEY]), [KEY]) == SECRET

    def test_secret_is_not_readable(self):
        stored = encrypt(SECRET, [KEY])
        assert stored.keys() == {"key", "text"}
        assert SECRET not in stored["text"]

    def test_same_secret_never_looks_the_same(self):
        assert encrypt(SECRET, [KEY])["text"] != encrypt(SECRET, [KEY])["text"]

    def test_first_key_encrypts(self):
        stored = encrypt(SECRET, [KEY, OTHER_KEY])
        assert stored["key"] == key_id(KEY)
        assert decrypt(stored, [KEY]) == SECRET


class TestDecrypt:
    @pytest.mark.parametrize("keys", [[KEY, OTHER_KEY], [OTHER_KEY, KEY]], ids=["first", "second"])
    def test_any_key_of_the_list_opens(self, keys):
        assert decrypt(encrypt(SECRET, [KEY]), keys) == SECRET

    @pytest.mark.parametrize("keys", [[], [OTHER_KEY], [f"{KEY}."]], ids=["none", "other", "near"])
    def test_wrong_key_opens_nothing(self, keys):
        with pytest.raises(NoKeyOpens):
            decrypt(encrypt(SECRET, [KEY]), keys)

    def test_changed_text_is_not_opened(self):
        stored = encrypt(SECRET, [KEY])
        # The last letter has bits that base64 ignores.
        for index in range(len(stored["text"].rstrip("=")) - 1):
            with pytest.raises(NoKeyOpens):
                decrypt(stored | {"text": flipped(stored["text"], index)}, [KEY])

    @pytest.mark.parametrize("text", ["", "A", SECRET, "\u00e9" * 5, "=" * 5], ids=ascii)
    def test_text_that_was_never_encrypted_is_not_opened(self, text):
        with pytest.raises(NoKeyOpens):
            decrypt({"key": key_id(KEY), "text": text}, [KEY])

    def test_secret_of_an_earlier_version_is_opened(self):
        assert decrypt(EARLIER, [KEY]) == SECRET


class TestKeyId:
    def test_id_of_an_earlier_version_stays(self):
        assert key_id(KEY) == EARLIER["key"]

    def test_ids_of_keys_differ(self):
        assert len({key_id(key) for key in (KEY, OTHER_KEY, KEY[:-1], "\u00e9")}) == 4

    def test_id_shows_nothing_of_the_key(self):
        assert len(key_id(KEY)) == 16
        assert key_id(KEY) not in KEY
