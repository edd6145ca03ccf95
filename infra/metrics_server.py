"""The HTTP server for Prometheus, on a port of its own that no proxy should expose."""

import os
import socket
import threading
from functools import partial
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from infra.http_server import create_server


def start_metrics_server(host: str, port: int, gauges: Collector) -> None:
    """Serve the metrics of this process at /metrics, from a thread; call it after any fork.

    gunicorn's workers share the port, and each serves the metrics of all. `gauges` are read at
    each scrape.

    Raises:
        OSError: the port can't be used.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address, family=family, reuse_port=has_workers())
    wsgi = make_wsgi_app(_registry(gauges))
    server = create_server(partial(_serve, wsgi), 1, sockets=[listener])
    threading.Thread(target=server.run, name="metrics", daemon=True).start()


def has_workers() -> bool:
    """Return whether several processes count together, as gunicorn's do."""
    return "PROMETHEUS_MULTIPROC_DIR" in os.environ


def _serve(wsgi: Any, environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/metrics":
        return wsgi(environ, start_response)
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def _registry(gauges: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    if has_workers():
        MultiProcessCollector(registry)
    else:
        registry.register(REGISTRY)
    registry.register(gauges)
    return registry
