"""A client that goes round machines as a proxy does."""

import json
from http.client import HTTPConnection, HTTPResponse, IncompleteRead
from typing import Any

TRIES = 8


class Proxy:
    """Sends each request to the next machine, on a connection kept from before if there is one.

    A machine that refuses is passed over. So is a kept connection that was closed without a byte
    of an answer, as RFC 9112 §9.3.1 foresees. All else that goes wrong is raised: a ConnectionError
    is a request that was let in and never answered. For one thread.
    """

    def __init__(self, ports: list[int]) -> None:
        self._ports = list(ports)
        self._kept: dict[int, HTTPConnection] = {}

    def send(
        self, method: str, path: str, token: str = "", keep: bool = True, **fields: Any
    ) -> tuple[int, Any]:
        """Send fields as JSON; return status and answer. `keep` says to keep the connection."""
        headers = {"Content-Type": "application/json"}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        headers |= {} if keep else {"Connection": "close"}
        for _ in range(TRIES):
            port = self._next()
            kept = self._kept.pop(port, None)
            connection = kept or HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request(method, path, json.dumps(fields) if fields else None, headers)
                answer = connection.getresponse()
            except ConnectionError as error:
                connection.close()
                if kept or isinstance(error, ConnectionRefusedError):
                    continue
                raise
            content = json.loads(_whole(answer, connection))
            if not answer.will_close:
                self._kept[port] = connection
            return answer.status, content
        raise ConnectionRefusedError("nobody listens")

    def _next(self) -> int:
        self._ports.append(self._ports.pop(0))
        return self._ports[-1]

    def close(self) -> None:
        for connection in self._kept.values():
            connection.close()


def _whole(answer: HTTPResponse, connection: HTTPConnection) -> bytes:
    """Return the content; raises ConnectionError for half of one."""
    try:
        return answer.read()
    except (IncompleteRead, ConnectionError) as error:
        answer.close()
        connection.close()
        raise ConnectionError("half an answer") from error
