"""The devices that a user has logged in with: what the field `devices` holds, and its update.

`known` has the last few, each with `browser`, `system`, `ip` and its `network`, and the times
`first_at` and `last_at` of its logins; browser and network together tell devices apart. `mail_at`
is when the last email about new ones was due, or the next one will be. `version` counts updates.
"""

from database.models import Stored, User


def replace_devices(user: User, devices: Stored) -> bool:
    """Store other devices, unless they were changed since the user was read; return whether."""
    version = user.devices.get("version")
    as_read = {"_id": user.id, "devices.version": version}
    update = {"$set": {"devices": {**devices, "version": (version or 0) + 1}}}
    return bool(User.objects(__raw__=as_read).update_one(__raw__=update))
