"""Where Prometheus asks: METRICS_PORT, a port of its own, which no proxy shows to the public."""

import os
import socket
import threading
from collections.abc import Iterator

import waitress
from flask import Flask
from prometheus_client import REGISTRY, CollectorRegistry, make_wsgi_app
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from config import SettingsError
from database.db import DATABASE_ERRORS
from services import health_service


class OutboxCollector(Collector):
    """The outbox as the database has it at the time of a scrape."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield its size and age, or nothing while the database is away: the rest is still true."""
        try:
            size, age = health_service.waiting_mails(), health_service.oldest_mail()
        except DATABASE_ERRORS:
            return
        most = health_service.MAX_COUNTED
        yield GaugeMetricFamily(
            "movie_bag_outbox_mails", f"Mails that wait, {most} at most.", value=size
        )
        yield GaugeMetricFamily(
            "movie_bag_outbox_oldest_seconds", "How long the oldest has been waiting.", value=age
        )


class Exporter:
    """The server of this process. It begins to answer when it is started, after any fork."""

    def __init__(self, app: Flask) -> None:
        """Belong to app."""
        self._host, self._port = app.config["HOST"], app.config["METRICS_PORT"]
        app.extensions["exporter"] = self

    def start(self) -> None:
        """Answer on HOST and METRICS_PORT, if that is set.

        The workers of one gunicorn share the port, and each can tell of all. Raises SettingsError
        when the port can't be used.
        """
        if self._port is None:
            return
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
            family, *_, address = found[0]
            listener = socket.create_server(address, family=family, reuse_port=True)
        except OSError as error:
            raise SettingsError({"METRICS_PORT": [str(error)]}) from None
        wsgi = make_wsgi_app(_registry())
        server = waitress.create_server(wsgi, sockets=[listener], threads=1, ident=None)
        threading.Thread(target=server.run, name="metrics", daemon=True).start()


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        MultiProcessCollector(registry)
    else:
        registry.register(REGISTRY)
    registry.register(OutboxCollector())
    return registry
