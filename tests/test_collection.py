"""No test lies idle, unseen."""

from fnmatch import fnmatch

import pytest


def test_pytest_looks_into_every_folder(pytestconfig: pytest.Config) -> None:
    patterns = pytestconfig.getini("norecursedirs")
    unseen = [
        file
        for place in pytestconfig.getini("testpaths")
        for file in (pytestconfig.rootpath / place).rglob("*.py")
        for part in file.relative_to(pytestconfig.rootpath).parts[:-1]
        if any(fnmatch(part, pattern) for pattern in patterns)
    ]
    assert not unseen
