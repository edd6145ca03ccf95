"""What a user agent says of a device: names of ours, whatever a client sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.user_agent import BROWSERS, REMEMBERED, SYSTEMS, browser_and_system, describe
from services.device_service import network_of
from services.session_grace import USER_AGENT_CHARACTERS

WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) "
# Pieces on which expressions that describe user agents may backtrack.
PIECES = [
    "Mozilla/5.0 ",
    "(",
    ";",
    " ",
    "1.1.1",
    "Version/",
    "Safari/",
    "; Android ",
    "CPU OS ",
    "/",
]


class TestDescribe:
    @pytest.mark.parametrize(
        ("user_agent", "device"),
        [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "Firefox on Linux",
            ),
            (WINDOWS + "Chrome/126.0.0.0 Safari/537.36", "Chrome on Windows"),
            (WINDOWS + "Chrome/126.0.0.0 Safari/537.36 Edg/126.0.0.0", "Edge on Windows"),
            (MAC + "Version/17.5 Safari/605.1.15", "Safari on macOS"),
            (
                IPHONE + "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
                "Safari on iOS",
            ),
            (ANDROID + "Chrome/126.0.0.0 Mobile Safari/537.36", "Chrome on Android"),
            ("curl/8.5.0", "curl"),
            ("python-requests/2.32.3", "Python"),
            ("Evil/1.0 (pay at evil.example)", ""),
            ("Googlebot/2.1 (+http://www.google.com/bot.html)", ""),
            ("", ""),
        ],
    )
    def test_device_has_the_names_of_the_table(self, user_agent, device):
        assert describe(user_agent) == device

    @given(
        st.text(max_size=USER_AGENT_CHARACTERS)
        | st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
    )
    def test_any_text_gets_a_name_of_ours_or_none(self, user_agent):
        browser, system = browser_and_system(user_agent[:USER_AGENT_CHARACTERS])
        assert browser in {"", *BROWSERS.values()}
        assert system in {"", *SYSTEMS.values()}

    def test_remembered_ones_are_bounded(self):
        for number in range(REMEMBERED + 1):
            browser_and_system(f"Evil/{number}")
        assert browser_and_system.cache_info().currsize == REMEMBERED


class TestNetwork:
    @pytest.mark.parametrize(
        ("ip", "network"),
        [
            ("203.0.113.200", "203.0.113.0/24"),
            ("2001:db8:1:2:3::4", "2001:db8:1::/48"),
            ("", ""),
            ("unix:", ""),
        ],
    )
    def test_network_is_what_a_customer_keeps(self, ip, network):
        assert network_of(ip) == network
