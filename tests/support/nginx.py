"""nginx as a user without rights runs it: everything that it writes is in one folder."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from getpass import getuser
from pathlib import Path

from tests.support.processes import HOME
from tests.support.smtp_server import CERTIFICATE

MAIN = """
user {user};
pid {folder}/pid;
error_log {error_log};
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


def main_conf(folder: Path, error_log: str | Path, site: str) -> str:
    """Return the main configuration around the directives of a site."""
    return MAIN.format(user=getuser(), folder=folder, error_log=error_log, site=site)


def site_conf(port: int, machines: list[int], plain_port: int) -> str:
    """Return deploy/nginx/movie-bag.conf at these ports, with the certificate of localhost."""
    text = (HOME / "deploy/nginx/movie-bag.conf").read_text()
    text = re.sub(r" *listen \[::\].*\n", "", text)
    text = text.replace("listen 443", f"listen 127.0.0.1:{port}")
    text = text.replace("listen 80", f"listen 127.0.0.1:{plain_port}")
    text = re.sub(r"(ssl_certificate\w*) .*;", rf"\1 {CERTIFICATE};", text)
    for number, machine in enumerate(machines, 1):
        text = text.replace(f"10.0.0.{number}:5000", f"127.0.0.1:{machine}")
    assert "10.0.0." not in text
    return text


@contextmanager
def nginx(folder: Path, site: str) -> Iterator[Path]:
    """Run nginx with the directives of a site; yield its log of errors."""
    conf, log = folder / "nginx.conf", folder / "error.log"
    conf.write_text(main_conf(folder, log, site))
    process = subprocess.Popen(["nginx", "-p", folder, "-c", conf, "-e", log, "-g", "daemon off;"])
    yield log
    process.terminate()
    process.wait()
