"""`nexus timeline`: the kinds that may be asked for, and lines in which nothing is cut on a narrow console."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams import life
from streams.cli import build_app
from streams.life import KINDS, Found, in_order

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "timeline.md"
ID = "per_3tvoyiejxecvcchpstoupdxsuy"


def line(version: int, recorded: str, kind: str = "membership.started", entity_id: str = ID) -> dict[str, Any]:
    return {
        "id": f"{entity_id}:{version}:0",
        "version": version,
        "recorded_at": f"2024-05-01T10:00:{recorded}Z",
        "entity_id": entity_id,
        "entity_type": "person",
        "kind": kind,
        "occurred_at": "2024-05-01T09:00:00.000Z",
        "event_id": "4f8a2d0e-6a53-4b0e-9a52-8a40c0de9f11",
        "source": "billing_platform",
        "data": {"group_id": "grp_hndyiknwz3fo7ww6vmdekejtku", "role": "editor"},
    }


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    async def told(*_: object, **__: object) -> list[dict[str, Any]]:
        return [line(1, "02.000")]

    async def first(*_: object) -> None:
        return None

    monkeypatch.setattr(life, "lines_of", told)
    monkeypatch.setattr(life, "with_absorbed", told)
    monkeypatch.setattr(life, "first_known", first)
    return CliRunner(env={"COLUMNS": "80"}).invoke(build_app(), ["timeline", ID, *words])


def test_the_kinds_are_those_of_the_reference() -> None:
    assert list(KINDS) == re.findall(r"^## `([a-z.]+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("kind", ["memberships", "state.change", ""])
def test_a_kind_that_there_is_not_is_an_error(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    found = run(monkeypatch, "--kind", kind)
    assert found.exit_code != 0
    assert "there are entity.created" in str(found.exception)


@pytest.mark.parametrize("kind", ["membership", "membership.started"])
def test_a_kind_may_be_given_by_its_first_word(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    found = run(monkeypatch, "--kind", kind)
    assert (found.exit_code, found.stdout.splitlines()[-1]) == (0, "1 of 1 records")


@pytest.mark.parametrize("more", [[], ["--absorbed"]])
def test_nothing_is_cut_where_the_console_is_narrow(monkeypatch: pytest.MonkeyPatch, more: list[str]) -> None:
    found = run(monkeypatch, *more)
    first, *rest = found.stdout.splitlines()[:-1]
    assert first.startswith("  2024-05-01 09:00:00  membership.started  ")
    told = "".join("".join(row[43:].split()) for row in (first, *rest))
    shown = [ID[:10]] if more else []
    for word in (*shown, "editor", "grp_hndyi", "billing", "4f8a"):
        assert word in told
    assert "…" not in found.stdout


def test_the_order_is_that_of_the_log_whatever_clocks_said() -> None:
    other = "per_buq5thntkz2e2aoxpfjb7kinuu"
    found = [
        Found(0, 7, line(1, "02.000")),
        Found(0, 9, line(2, "00.500")),  # by a worker whose clock is behind
        Found(1, 3, line(5, "01.000", entity_id=other)),
        Found(1, 4, line(6, "03.000", entity_id=other)),
    ]
    assert [(one["entity_id"], one["version"]) for one in in_order(reversed(found))] == [(other, 5), (ID, 1), (ID, 2), (other, 6)]
