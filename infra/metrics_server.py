"""The HTTP server for Prometheus, on a port of its own that no proxy should expose."""

import os
import socket
import threading

from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from infra.http_server import create_server


def start_metrics_server(host: str, port: int, gauges: Collector) -> None:
    """Serve the metrics of this process from a thread; call it after any fork.

    gunicorn's workers share the port, and each serves the metrics of all. `gauges` are read at
    each scrape.

    Raises:
        OSError: the port can't be used.
    """
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.create_server(address, family=family, reuse_port=True)
    wsgi = make_wsgi_app(_registry(gauges))
    server = create_server(wsgi, 1, sockets=[listener])
    threading.Thread(target=server.run, name="metrics", daemon=True).start()


def _registry(gauges: Collector) -> CollectorRegistry:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
    else:
        registry.register(REGISTRY)
    registry.register(gauges)
    return registry
