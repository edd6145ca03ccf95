"""The supervisor: a program that ends the database server when the server's owner has ended.

The owner holds the other end of standard input. The kernel closes it when the owner ends, even
by `kill -9`, so the server never outlives its owner.
"""

import subprocess
import sys
import threading


def supervise(command: list[str]) -> int:
    """Run a command until it ends or standard input closes; return its exit status."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def terminate_with_owner() -> None:
        sys.stdin.buffer.read()
        server.terminate()

    threading.Thread(target=terminate_with_owner, daemon=True).start()
    return server.wait()


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:]))
