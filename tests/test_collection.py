"""No test lies idle, unseen."""

from fnmatch import fnmatch
from pathlib import Path

import pytest


def test_pytest_looks_into_every_folder_of_tests(pytestconfig: pytest.Config) -> None:
    here = Path(__file__).parent
    folders = {file.parent.relative_to(here) for file in here.rglob("test_*.py")}
    patterns = pytestconfig.getini("norecursedirs")  # `build` is among them
    unseen = [
        folder
        for folder in folders
        if any(fnmatch(part, pattern) for part in folder.parts for pattern in patterns)
    ]
    assert not unseen
