"""Print the part of requirements.lock that a running worker needs, without what only tests and development need.

    python deploy/runtime_lock.py                    what pyproject.toml's dependencies and its extra `otel` bring along
    python deploy/runtime_lock.py setuptools         what the named packages bring along instead

Invariant: every line is one of requirements.lock, so that the image has the very versions and digests that were tested.
Needs nothing but Python 3.11, since an image is built with it before anything is installed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("otel",)
"""Of what is optional elsewhere, what an image has: nobody installs into it."""

NAME = re.compile(r"^([A-Za-z0-9._-]+)")
VIA = re.compile(r"^    #(?: via)?\s+([A-Za-z0-9._-]+)", re.MULTILINE)


def canonical(name: str) -> str:
    """Write a package's name the way the lock does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(lock: str) -> dict[str, str]:
    """Split a lock into its packages; each has its pin, its digests and the packages that it was pinned for."""
    blocks = re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
    return {canonical(found[1]): block for block in blocks if (found := NAME.match(block))}


def needed(lock: str, roots: set[str]) -> str:
    """Return the entries of the roots and of everything that they bring along. Raises KeyError for a root that is not locked."""
    blocks = entries(lock)
    wanted = {canonical(name) for name in roots}
    if missing := wanted - blocks.keys():
        raise KeyError(f"not in the lock: {', '.join(sorted(missing))}")
    needed_by = {name: {canonical(user) for user in VIA.findall(block)} for name, block in blocks.items()}
    grown = wanted
    while grown:
        grown = {name for name, users in needed_by.items() if users & wanted} - wanted
        wanted = wanted | grown
    return "".join(block for name, block in blocks.items() if name in wanted)


def dependencies(project: Path) -> set[str]:
    """Name what pyproject.toml says that the project needs to run, with the extras that an image has."""
    said = tomllib.loads(project.read_text(encoding="utf-8"))["project"]
    extras = said.get("optional-dependencies", {})
    declared: list[str] = [*said["dependencies"], *(one for name in EXTRAS for one in extras.get(name, ()))]
    return {found[1] for one in declared if (found := NAME.match(one))}


if __name__ == "__main__":
    names = set(sys.argv[1:]) or dependencies(ROOT / "pyproject.toml")
    sys.stdout.write(needed((ROOT / "requirements.lock").read_text(encoding="utf-8"), names))
