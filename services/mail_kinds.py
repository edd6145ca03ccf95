"""Every email that the product sends, on one page."""

from dataclasses import dataclass

from services.token_service import LINKS, PWD_RESET, LinkKind

RESET_PASSWORD = "reset_password"
PASSWORD_CHANGED = "password_changed"
ROLE_CHANGED_TO_ADMIN = "role_changed_to_admin"
ROLE_CHANGED_TO_USER = "role_changed_to_user"
ACCOUNT_DELETED = "account_deleted"


@dataclass(frozen=True)
class MailKind:
    """An email: its subject, its template in templates/email, its link.

    It goes to the user who has the `email` of the job, if there is one; a notice (notice_service)
    to the email and name that its job carries.
    """

    subject: str
    template: str
    link: LinkKind | None = None


MAILS = {
    RESET_PASSWORD: MailKind("Reset your Movie-bag password", "reset_password", LINKS[PWD_RESET]),
    PASSWORD_CHANGED: MailKind("Your Movie-bag password was changed", "password_changed"),
    ROLE_CHANGED_TO_ADMIN: MailKind("You are now an admin of Movie-bag", "role_changed_to_admin"),
    ROLE_CHANGED_TO_USER: MailKind(
        "You are no longer an admin of Movie-bag", "role_changed_to_user"
    ),
    ACCOUNT_DELETED: MailKind("Your Movie-bag account was deleted", "account_deleted"),
}
