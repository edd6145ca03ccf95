"""Reading metrics."""

from collections.abc import Callable

import requests
from prometheus_client.parser import text_string_to_metric_families


def scrape(port: int) -> Callable[..., float | None]:
    """Return the value of a metric by name and labels, None for one that is not there."""
    text = requests.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
    values = {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    return lambda name, **labels: values.get((name, frozenset(labels.items())))
