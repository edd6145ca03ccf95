"""Pages of a list."""

from tests.support.client import ApiClient


def names_by_page(api: ApiClient, path: str) -> list[list[str]]:
    """Follow the Link headers of the list of movies; return the names of each page."""
    pages, url = [], path
    while url:
        assert url.startswith("/api/movies")
        response = api.get(url)
        pages.append([movie["name"] for movie in response.json()])
        url = response.links.get("next", {}).get("url")
    return pages
