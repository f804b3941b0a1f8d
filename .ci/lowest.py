"""Print what `make test-lowest` installs: each dependency at the lowest version allowed.

A bound `>=1.4` in pyproject.toml is met by the last repair of 1.4, so it becomes `==1.4.*`.
torch is as in constraints.txt, since an older one may bring gigabytes for a GPU. Linters and type
stubs are left out.
"""

import re
import tomllib
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
EXTRAS = ("dev", "train", "glue", "discover", "ranker")
LINTERS = r"mypy|ruff|types-.*|.*-stubs"


def main() -> None:
    """Print a file of requirements for pip."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = {*project["dependencies"], *(text for extra in EXTRAS for text in extras[extra])}
    pinned = (REPOSITORY / "constraints.txt").read_text()
    for text in sorted(needed):
        name, _, version = text.partition(">=")
        if re.fullmatch(LINTERS, name):
            continue
        if name == "torch":
            print(*re.findall(r"(?m)^torch==.*$", pinned))
        else:
            print(f"{text},=={'.'.join(version.split('.')[:2])}.*")


if __name__ == "__main__":
    main()
