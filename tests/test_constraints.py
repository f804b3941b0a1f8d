"""constraints.txt pins all that archscout and its extras bring."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).resolve().parents[1]


# Old versions need packages that the newest do not.
pytestmark = pytest.mark.skipif(
    (Path(sys.prefix) / ".installed-lowest").exists(), reason="the lowest versions are installed"
)


def pinned() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def brought() -> dict[str, str]:
    """Each package that is needed, and what for; what extras need is followed where installed."""
    found: dict[str, str] = {}
    waiting = [("archscout", set(metadata.metadata("archscout").get_all("Provides-Extra") or []))]
    while waiting:
        name, extras = waiting.pop()
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        for text in needed:
            requirement = Requirement(text)
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": e}) for e in ("", *extras)):
                continue
            package = canonicalize_name(requirement.name)
            if package not in found:
                found[package] = name
                waiting.append((package, requirement.extras))
    return found


def test_every_package_is_pinned() -> None:
    assert {"skops", "ray", "mkdocs", "torch", "prettytable"} <= brought().keys() | pinned().keys()
    missing = brought().keys() - pinned().keys()
    assert not missing, {name: f"needed by {brought()[name]}" for name in missing}


def test_what_tests_run_with_is_what_is_pinned() -> None:
    """Where `make test` installed it; an environment of one's own may have other versions."""
    if not (Path(sys.prefix) / ".installed-dev").exists():
        pytest.skip("this environment was not made by make")
    installed = {canonicalize_name(d.name): d.version for d in metadata.distributions()}
    different = {
        name: (installed[name], version)
        for name, version in pinned().items()
        # A build for one kind of machine is that version, too.
        if name in installed and installed[name].partition("+")[0] != version
    }
    assert not different
