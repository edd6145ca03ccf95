"""What a command printed."""

import re
import subprocess
from typing import Any


def output(ended: Any) -> str:
    """Return what a command that succeeded printed, in this process or in one of its own."""
    status = ended.returncode if isinstance(ended, subprocess.CompletedProcess) else ended.exit_code
    assert status == 0, ended.stderr
    return str(ended.stdout).strip()


def error_line(ended: Any) -> str:
    """Return the reason of a command that failed: a line on stderr after that of the database."""
    assert (ended.exit_code, ended.stdout) == (1, "")
    match = re.fullmatch("(?:APP_ENV is .+\n)?Error: (.+)\n", ended.stderr)
    assert match, ended.stderr
    return match[1]
