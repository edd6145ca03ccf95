"""What a user agent says of a device: the family of its browser and its system."""

from functools import lru_cache

from ua_parser import parse

# Whatever else a client calls itself is not shown: its name would be the client's text.
BROWSERS = {
    "Chrome": "Chrome",
    "Chrome Mobile": "Chrome",
    "Chrome Mobile iOS": "Chrome",
    "Chrome Mobile WebView": "Chrome",
    "Chromium": "Chromium",
    "HeadlessChrome": "Chrome",
    "Edge": "Edge",
    "Edge Mobile": "Edge",
    "Firefox": "Firefox",
    "Firefox iOS": "Firefox",
    "Firefox Mobile": "Firefox",
    "Mobile Safari": "Safari",
    "Mobile Safari UI/WKWebView": "Safari",
    "Opera": "Opera",
    "Opera Mobile": "Opera",
    "Safari": "Safari",
    "Samsung Internet": "Samsung Internet",
    "Vivaldi": "Vivaldi",
    "curl": "curl",
    "okhttp": "okhttp",
    "Python Requests": "Python",
}
SYSTEMS = {
    "Android": "Android",
    "Chrome OS": "Chrome OS",
    "Debian": "Linux",
    "Fedora": "Linux",
    "iOS": "iOS",
    "Linux": "Linux",
    "Mac OS X": "macOS",
    "Ubuntu": "Linux",
    "Windows": "Windows",
}
# Of one process: 150 bytes each.
REMEMBERED = 1024


@lru_cache(REMEMBERED)
def browser_and_system(user_agent: str) -> tuple[str, str]:
    """Return the names of the browser, without version, and of the system; "" is unknown.

    The first call of a process takes a quarter of a second, a later one a millisecond.
    """
    parsed = parse(user_agent)
    browser = parsed.user_agent.family if parsed.user_agent else ""
    system = parsed.os.family if parsed.os else ""
    return BROWSERS.get(browser, ""), SYSTEMS.get(system, "")


def describe(user_agent: str) -> str:
    """Return "Firefox on Linux", as much of it as is known, or "" ."""
    return " on ".join(name for name in browser_and_system(user_agent) if name)
