"""The picture of the README: `make picture` takes it."""

import pytest

from scripts.picture import MAX_BYTES, take_picture
from tests.support.browser import NEEDS_CHROMIUM

pytestmark = [pytest.mark.slow, NEEDS_CHROMIUM]


def test_picture_can_be_taken_and_is_small():
    picture = take_picture()
    assert (picture[:4], picture[8:12]) == (b"RIFF", b"WEBP")
    assert len(picture) <= MAX_BYTES
