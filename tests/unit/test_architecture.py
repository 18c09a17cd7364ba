"""The house rules that a machine can see: who may import whom, what rules may touch, how long a module may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESOLVERS = sorted((ROOT / "resolvers").rglob("*.py"))
STREAMS = sorted((ROOT / "streams").rglob("*.py"))
# The Redis implementation, with what it settles, composes, refuses and may do, and the loader of its scripts are no rules.
NO_RULES = {
    "redis_composing.py",
    "redis_graph.py",
    "redis_ready.py",
    "redis_refusals.py",
    "redis_rights.py",
    "redis_settling.py",
    "scripts.py",
}
RULES = [path for path in RESOLVERS if path.name not in NO_RULES]
# Rules are functions of their arguments: no store, no log, no clock, no chance, no surroundings.
OUTSIDE_OF_RULES = {"aiokafka", "asyncio", "faust", "mode", "os", "random", "redis", "secrets", "socket", "streams", "time", "uuid"}
CLOCKS = {"now", "utcnow", "today"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imported(path: Path) -> set[str]:
    """Return the top-level packages that a module imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            found.add(node.module.split(".")[0])
    return found


def _read_clocks(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in CLOCKS]


@pytest.mark.parametrize("path", RESOLVERS, ids=_name)
def test_resolvers_import_nothing_of_streams(path: Path) -> None:
    assert "streams" not in _imported(path)


@pytest.mark.parametrize("path", RULES, ids=_name)
def test_rules_touch_nothing_outside(path: Path) -> None:
    assert _imported(path) & OUTSIDE_OF_RULES == set()
    assert _read_clocks(path) == []


@pytest.mark.parametrize("path", [path for path in STREAMS if "stack" not in path.parts and "cli" not in path.parts], ids=_name)
def test_the_pipeline_does_not_know_the_command_line(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert "streams.cli" not in source or path.name == "__main__.py"


def test_verify_imports_nothing_of_resolvers() -> None:
    verify = [path for path in STREAMS if path.parent.name == "verify"]
    assert {_name(path): _imported(path) & {"resolvers"} for path in verify} == {_name(path): set() for path in verify}


@pytest.mark.parametrize("path", RESOLVERS + STREAMS, ids=_name)
def test_a_module_fits_in_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
