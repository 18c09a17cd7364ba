"""Scripts: every file says what it takes and gives, and replies with the words that are read."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest

from resolvers.scripts import _PRELUDES, COMMANDS, Bounds, Reply, source_of
from resolvers.trait_rules import MOST_KEPT, MOST_KEPT_BYTES

LUA = {
    path.name.removesuffix(".lua"): path.read_text(encoding="utf-8")
    for path in (files("resolvers") / "lua").iterdir()
    if path.name.endswith(".lua")
}
PRELUDES = {name for needed in _PRELUDES.values() for name in needed}
WORD = re.compile(r"'([A-Z]{2,})'")


def replied(source: str) -> set[str]:
    """Find the words that a script's replies start with."""
    return set(re.findall(r"return \{ ?'([A-Z]+)'", source))


def test_every_file_is_a_command_or_a_prelude() -> None:
    assert set(LUA) == set(_PRELUDES) | PRELUDES
    assert not set(_PRELUDES) & PRELUDES


def test_the_words_of_the_scripts_are_the_words_that_are_read() -> None:
    assert set().union(*(replied(source) for source in LUA.values())) == {word.value.decode() for word in Reply}


@pytest.mark.parametrize("command", sorted(_PRELUDES))
def test_a_command_says_what_it_takes_gives_and_costs(command: str) -> None:
    header = LUA[command].split("\n\n", 1)[0]
    assert all(line.startswith("--") for line in header.splitlines())
    for part in ("-- KEYS[1]", "-- REPLY", "-- Cost"):
        assert f"\n{part}" in header, f"{command}.lua's header lacks {part}"


@pytest.mark.parametrize("command", sorted(_PRELUDES))
def test_a_command_documents_the_words_it_replies_with_and_every_argument(command: str) -> None:
    header, body = LUA[command].split("\n\n", 1)
    reply = header[header.index("-- REPLY") :]
    assert set(WORD.findall(reply)) == replied(body)
    assert set(re.findall(r"ARGV\[\d\]", body)) <= set(re.findall(r"ARGV\[\d\]", header))


@pytest.mark.parametrize("name", sorted(LUA))
def test_strings_are_never_compared_in_the_order_of_the_locale(name: str) -> None:
    assert "table.sort(" not in re.sub(r"table\.sort\(\w+, \w+\)", "", LUA[name])


@pytest.mark.parametrize("name", sorted(PRELUDES))
def test_a_prelude_says_what_it_is(name: str) -> None:
    assert LUA[name].startswith("-- ")
    assert "repended" in LUA[name].split("\n\n", 1)[0]


def test_a_source_starts_with_the_shebang_and_the_bounds_that_it_names() -> None:
    bounds = Bounds(inline=7, listed=9, moved=4, portion=5, patience=3, observed=6, idle_ms=8)
    apply, take, begin = (source_of(name, bounds).split("\n\n", 1)[0].splitlines() for name in ("apply", "take", "begin_reading"))
    graph = ["local INLINE = 7", "local LISTED = 9", "local PATIENCE = 3"]
    assert apply[:5] == ["#!lua", *graph, "local MOVED = 4"]
    assert take[:8] == ["#!lua", *graph, "local SETTLED_WITHIN = 10000", "local MOVED = 4", "local OBSERVED = 6", "local IDLE = 8"]
    assert begin[0] == "#!lua"


def test_every_bound_has_a_name_in_the_scripts() -> None:
    named = set(re.findall(r"^local ([A-Z_]+) = \d+$", "\n".join(source_of(one, Bounds()) for one in COMMANDS), re.MULTILINE))
    assert {"INLINE", "LISTED", "PATIENCE", "SETTLED_WITHIN", "MOVED", "PORTION", "OBSERVED", "IDLE"} <= named


def test_the_least_rights_that_are_told_have_every_command_that_scripts_call() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "secure.md").read_text(encoding="utf-8")
    (user,) = (line for line in page.splitlines() if line.startswith("user nexus on"))
    allowed = {word.removeprefix("+") for word in user.split() if word.startswith("+")}
    called = {name.lower() for source in LUA.values() for name in re.findall(r"(?:redis\.call|later)\('([A-Z]+)'", source)}
    assert called <= allowed


def test_a_trait_with_all_values_has_the_same_room_everywhere() -> None:
    assert f"ROOM = {{ values = {MOST_KEPT}, bytes = {MOST_KEPT_BYTES} }}" in LUA["graph"]
