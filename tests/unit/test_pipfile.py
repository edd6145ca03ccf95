"""Pipfile.lock: it installs on every Python that the README names."""

import json
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
