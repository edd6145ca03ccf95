"""A client that sends its requests to several machines in turn, as a load balancer does."""

import json
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Any

TRIES = 8


class RoundRobinClient:
    """Sends each request to the next machine, on a kept connection if there is one.

    It skips a machine that refuses connections, and a kept connection that was closed without a
    byte of a response (RFC 9112 §9.3.1). Every other error is raised: a ConnectionError is a
    request that was accepted and had no response. For one thread.
    """

    def __init__(self, ports: list[int]) -> None:
        self._ports = list(ports)
        self._kept: dict[int, HTTPConnection] = {}

    def send(
        self, method: str, path: str, token: str = "", keep: bool = True, **fields: Any
    ) -> tuple[int, Any]:
        """Send fields as JSON; return status and body. The connection is kept if `keep` is set."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {} if keep else {"Connection": "close"}
        for _ in range(TRIES):
            port = self._next()
            kept = self._kept.pop(port, None)
            connection = kept or HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request(method, path, json.dumps(fields) if fields else None, headers)
                response = connection.getresponse()
            except ConnectionError as error:
                connection.close()
                if kept or isinstance(error, ConnectionRefusedError):
                    continue
                raise
            body = json.loads(_read_whole(response, connection))
            if not response.will_close:
                self._kept[port] = connection
            return response.status, body
        raise ConnectionRefusedError("no machine accepts connections")

    def _next(self) -> int:
        self._ports.append(self._ports.pop(0))
        return self._ports[-1]

    def close(self) -> None:
        for connection in self._kept.values():
            connection.close()


def _read_whole(response: HTTPResponse, connection: HTTPConnection) -> bytes:
    """Return the body; raises ConnectionError if only a part of it came."""
    try:
        return response.read()
    except (IncompleteRead, ConnectionError) as error:
        response.close()
        connection.close()
        raise ConnectionError("incomplete response") from error
