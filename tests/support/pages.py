"""Pages of a list."""

from collections.abc import Iterator

import requests

from tests.support.client import ApiClient


def each_page(api: ApiClient, path: str, token: str | None = None) -> Iterator[requests.Response]:
    """Follow the Link headers of a list, which are absolute, and yield each response."""
    public_url = api.app.config["PUBLIC_URL"]
    url = public_url + path
    while url:
        assert url.startswith(public_url + path.partition("?")[0])
        response = api.get(url.removeprefix(public_url), token=token)
        yield response
        url = response.links.get("next", {}).get("url")


def names_by_page(api: ApiClient, path: str) -> list[list[str]]:
    """Follow the Link headers of the list of movies; return the names of each page."""
    return [[movie["name"] for movie in page.json()] for page in each_page(api, path)]
