"""New devices: users are notified of a login from a browser or a network that was not seen before.

The email can't be used to flood a mailbox: there is one an hour, and what comes meanwhile is in the
next one.
"""

import logging
import time
from ipaddress import ip_address, ip_network

from database.db import DATABASE_ERRORS
from database.devices import replace_devices
from database.models import Stored, User
from infra.user_agent import browser_and_system
from jobs import queue
from services import event_service, mail_queue
from services.event_service import Event
from services.mail_kinds import NEW_DEVICE
from services.session_grace import USER_AGENT_CHARACTERS

MAX_DEVICES = 20
MAIL_SECONDS = 3600.0
# A device's last login is stored to the day: most logins write nothing here.
USED_SECONDS = 86400.0
# What a customer of a provider keeps while addresses change.
IPV4_PREFIX = 24
IPV6_PREFIX = 48
# How often a login reads a user again whose devices other logins have changed since.
ATTEMPTS = 5

logger = logging.getLogger(__name__)


def note_login(user: User, user_agent: str, ip: str) -> None:
    """Remember the device of a login, and notify the user if it is a new one.

    That of the first login is no news. The login has happened: a failure is logged, and the next
    login finds the device to be new.
    """
    try:
        _note_device(user, user_agent, ip)
    except DATABASE_ERRORS as error:
        logger.error("The device of a login is not remembered: %s", error)


def _note_device(user: User, user_agent: str, ip: str) -> None:
    browser, system = browser_and_system(user_agent[:USER_AGENT_CHARACTERS])
    device = {"browser": browser, "system": system, "ip": ip, "network": network_of(ip)}
    for _ in range(ATTEMPTS):
        if _note(user, device):
            return
        current = User.get_by_id(user.id)  # other logins have changed its devices since
        if current is None:
            return
        user = current


def _note(user: User, device: Stored) -> bool:
    """Store what is new about a device; return False if the user was changed since it was read."""
    now, known = time.time(), user.devices.get("known", [])
    same = next((it for it in known if _identity(it) == _identity(device)), None)
    if same and now - same["last_at"] < USED_SECONDS:
        return True
    others = sorted((it for it in known if it != same), key=lambda it: it["last_at"])
    noted = {**device, "first_at": same["first_at"] if same else now, "last_at": now}
    devices = {**user.devices, "known": [*others[1 - MAX_DEVICES :], noted]}
    if same or not known:
        return replace_devices(user, devices)
    return _notify(user, devices, now)


def _notify(user: User, devices: Stored, now: float) -> bool:
    """Store devices of which the last is new, and queue the email, unless one is still to come."""
    mail_at, job_id = devices.get("mail_at", 0.0), None
    if mail_at <= now:
        devices["mail_at"] = max(now, mail_at + MAIL_SECONDS)
        times = {"since": repr(now), "until": repr(devices["mail_at"])}
        run_at = devices["mail_at"] + queue.SEND_DELAY
        job_id = mail_queue.enqueue_at(run_at, user, NEW_DEVICE, **times)
    if not replace_devices(user, devices):
        queue.cancel(job_id)
        return False
    event_service.record(Event.NEW_DEVICE, user_id=user.id)
    return True


def _identity(device: Stored) -> tuple[str, str]:
    return device["browser"], device["network"]


def network_of(ip: str) -> str:
    """Return the network of an IP; a Unix socket has none."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    prefix = IPV4_PREFIX if address.version == 4 else IPV6_PREFIX
    return str(ip_network((int(address), prefix), strict=False))
