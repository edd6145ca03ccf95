"""`python -m deploy.check`: whether the product can start with the settings of now."""

import sys

from app import create_app
from setting_sources import SettingsError


def main() -> None:
    """Print what prevents the start in a line, and exit with status 1 if something does."""
    try:
        create_app()
    except SettingsError as error:
        print(*error.message.split("\n"))
        sys.exit(1)
    except Exception as error:  # its text may have a secret
        print(f"The application can't be created: {type(error).__name__}")
        sys.exit(1)


if __name__ == "__main__":
    main()
