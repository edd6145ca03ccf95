"""nginx as a user without rights runs it: everything that it writes is in one folder."""

from getpass import getuser
from pathlib import Path

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
