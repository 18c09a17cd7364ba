"""Which servers are too old, and which have holes."""

from __future__ import annotations

import pytest

from streams.redis_checkup import _told
from streams.redis_versions import HOLES, holes_of, too_old, version_of


@pytest.mark.parametrize(
    ("name", "version", "wanted", "named"),
    [
        ("Redis", "7.4.5", "7.4.11", "CVE-2025-49844"),
        ("Redis", "7.4.6", "7.4.11", "CVE-2026-23479"),
        ("Redis", "7.4.11", None, ""),
        ("Redis", "8.2.6", "8.2.9", "the security release of July 2026"),
        ("Redis", "8.6.6", "8.6.7", "September 2026"),
        ("Redis", "8.12.0", None, ""),
        ("Redis", "?", None, ""),
        ("Valkey", "8.1.3", "8.1.12", "CVE-2025-49844"),
        ("Valkey", "8.1.4", "8.1.12", "CVE-2026-23631"),
        ("Valkey", "8.1.12", None, ""),
        ("Valkey", "9.1.2", "9.1.4", "CVE-2026-130822"),
        ("Valkey", "9.1.4", None, ""),
        ("Valkey", "9.2.0", None, ""),
    ],
)
def test_a_server_with_holes_is_named_with_the_release_of_its_line_that_has_none(
    name: str, version: str, wanted: str | None, named: str
) -> None:
    found = holes_of(name, version)
    assert (found[1] if found else None) == wanted
    assert named in (found[0] if found else "")


@pytest.mark.parametrize(("version", "wanted"), [("7.0.15", "7.2.16"), ("8.0.3", "8.2.9"), ("8.0.6", "8.2.9")])
def test_a_line_that_gets_no_releases_any_more_is_told_the_next_one(version: str, wanted: str) -> None:
    found = holes_of("Redis", version)
    assert found is not None
    assert found[1] == wanted


def test_what_was_mended_before_a_version_is_not_held_against_it() -> None:
    found = holes_of("Valkey", "9.1.3")
    assert found is not None
    assert found[0] == "with maxmemory-clients, clients may stop the server (CVE-2026-130822)"


@pytest.mark.parametrize(
    ("name", "version", "old"), [("Redis", "6.2.24", True), ("Redis", "7.0.0", False), ("Valkey", "7.2.4", False), ("Redis", "?", False)]
)
def test_a_redis_without_scripts_of_this_kind_is_too_old(name: str, version: str, *, old: bool) -> None:
    assert too_old(name, version) is old


def test_every_release_of_the_table_is_a_version() -> None:
    assert all(version_of(one) for holes in HOLES.values() for hole in holes for one in hole.mended)


@pytest.mark.parametrize(("allocator", "levels"), [("libc", ["warning"]), ("jemalloc-5.3.0", []), (None, [])])
def test_a_server_on_the_slower_allocator_is_told(allocator: str | None, levels: list[str]) -> None:
    info = {"redis_version": "8.12.0", "maxmemory_policy": "noeviction", "aof_enabled": 1, "mem_allocator": allocator}
    assert [one.level for one in _told("redis://here", info) if one.what == "redis allocator"] == levels
