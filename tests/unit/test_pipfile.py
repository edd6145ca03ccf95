"""Pipfile.lock: it installs on every Python that the README names."""

import json
import re
from importlib import metadata

import jwt
import pytest
from jwt.exceptions import InvalidKeyError
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.support.processes import HOME

LOCK = json.loads((HOME / "Pipfile.lock").read_text())
LOCKED = {**LOCK["develop"], **LOCK["default"]}
PYTHONS = ("3.11.0", "3.11.2", "3.11.3", "3.12.0", "3.13.0")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin"}


def missing(package, environment):
    """Yield what a locked package needs there and the lock does not install there."""
    for extra in ["", *LOCKED[package].get("extras", [])]:
        for requirement in map(Requirement, metadata.requires(package) or []):
            name = canonicalize_name(requirement.name)
            if requirement.marker and not requirement.marker.evaluate(
                environment | {"extra": extra}
            ):
                continue
            marker = LOCKED.get(name, {}).get("markers")
            needed = Requirement(f"{name}; {marker}" if marker else name)
            if name not in LOCKED or (marker and not needed.marker.evaluate(environment)):
                yield f"{package} needs {requirement}"


class TestPyJwt:
    """Versions before 2.13 take a public key for a secret (CVE-2026-48526)."""

    def test_old_version_is_neither_locked_nor_installed(self):
        locked = LOCK["default"]["pyjwt"]["version"].removeprefix("==")
        assert min(map(Version, (locked, metadata.version("pyjwt")))) >= Version("2.13")

    def test_old_version_can_not_be_locked(self):
        (wanted,) = re.findall(r'^pyjwt = "(.+)"$', (HOME / "Pipfile").read_text(), re.MULTILINE)
        assert not SpecifierSet(wanted).contains("2.12.1")

    def test_public_key_as_json_is_no_secret(self):
        """What the version in use does: our own code never lets it come to that."""
        jwk = json.dumps({"kty": "EC", "crv": "P-256", "x": "x", "y": "y"})
        with pytest.raises(InvalidKeyError):
            jwt.encode({}, jwk, "HS256")


class TestPipfile:
    def test_no_package_index_is_named(self):
        assert "[[source]]" not in (HOME / "Pipfile").read_text()
        assert LOCK["_meta"]["sources"] == []

    @pytest.mark.parametrize("system", SYSTEMS)
    @pytest.mark.parametrize("version", PYTHONS)
    def test_every_requirement_is_locked(self, version, system):
        environment = default_environment() | {
            "python_version": version.rpartition(".")[0],
            "python_full_version": version,
            "sys_platform": system,
            "platform_system": SYSTEMS[system],
        }
        # Of other packages, this Python has no metadata.
        installed = {canonicalize_name(it.metadata["Name"]) for it in metadata.distributions()}
        found = [
            problem for it in LOCKED.keys() & installed for problem in missing(it, environment)
        ]
        assert found == []
