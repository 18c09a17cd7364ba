"""`nexus explain` of what is kept apart: the guard is named, for people and for programs, each with the links that it is about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from resolvers.correction import CorrectionBatch, Kind
from resolvers.errors import NexusError
from resolvers.sighting import Position
from streams.cli import build_app
from streams.graph import open_graph, rules_of
from streams.settings import Settings, load_settings
from tests.histories import batch, documents, event, person
from tests.properties.test_guards_in_order import Said

SETTINGS = """
space: apart
redis: {{url: "{url}"}}
entities:
  person:
    identifiers:
      user_id: {{limit: 1}}
      email: {{normalise: email, hub: {{of: user_id, over: 9}}}}
      device: {{hub: {{of: user_id, over: 2}}}}
    blocked: ["re:^info@"]
    size: 6
"""

SEEN = [
    event("limit-1", "9:00", person("user_id:ann", "email:desk@x.example")),
    event("limit-2", "9:01", person("user_id:bob", "email:desk@x.example")),
    *(event(f"hub-{n}", f"9:1{n}", person(f"user_id:guest-{n}", "device:kiosk")) for n in range(3)),
    *(event(f"size-{n}", f"9:2{n}", person(f"email:many-{n}@x.example", "device:many")) for n in range(7)),
    event("forbid-1", "9:30", person("email:son@x.example", "device:family")),
    event("forbid-2", "9:31", person("email:dad@x.example", "device:family")),
    event("block-1", "9:40", person("email:one@x.example", "device:lent")),
    event("block-2", "9:41", person("email:two@x.example", "device:lent")),
    event("junk-1", "9:50", person("user_id:cy", "email:info@x.example")),
    event("junk-2", "9:51", person("user_id:dee", "email:info@x.example")),
    event("link-1", "9:55", person("user_id:eva")),
    event("link-2", "9:56", person("user_id:fay")),
]


def people(*named: str) -> tuple[tuple[str, str, str], ...]:
    found = [one.split(":", 1) for one in named]
    return tuple(("person", kind, value) for kind, value in found)


SAID = [
    Said(1, Kind.FORBID, holds=True, identifiers=people("email:son@x.example", "email:dad@x.example"), issued_at=1),
    Said(2, Kind.BLOCK, holds=True, identifiers=people("device:lent"), issued_at=1),
    Said(3, Kind.LINK, holds=True, identifiers=people("user_id:eva", "user_id:fay"), issued_at=1),
]


@pytest.fixture(scope="module")
def config(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Write settings of a space in which every guard has something to do."""
    path = tmp_path_factory.mktemp("apart") / "nexus.yaml"
    path.write_text(SETTINGS.format(url=redis_url), encoding="utf-8")
    asyncio.run(_know(load_settings(path, {})))
    yield path
    asyncio.run(_forget(load_settings(path, {})))


async def _know(settings: Settings) -> None:
    rules = rules_of(settings)
    async with open_graph(settings) as graph:
        await graph.apply(batch(SEEN, rules=rules))
        said = tuple(one.under(rules) for one in SAID)
        await graph.correct(CorrectionBatch("commands", 0, 0, Position(len(said), 1), said))
        await documents(graph)


async def _forget(settings: Settings) -> None:
    async with open_graph(settings) as graph:
        await graph.drop()


def ask(config: Path, *words: str) -> Result:
    return CliRunner().invoke(build_app(), ["explain", *words, "--config", str(config)])


def said_of(config: Path, one: str, other: str) -> list[str]:
    """Give what is said for people after the first line, which names both and their entities."""
    shown = ask(config, one, other)
    assert shown.exit_code == 1
    assert isinstance(shown.exception, SystemExit)
    first, *rest = shown.stdout.splitlines()
    assert first.startswith(f"{one} belongs to per_")
    assert first.endswith("; they are kept apart:")
    return rest


def guards_of(config: Path, one: str, other: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Give what is said for programs: the first event of each link, and its guards."""
    shown = ask(config, one, other, "--json")
    assert shown.exit_code == 1
    found = json.loads(shown.stdout)
    assert (found["outcome"], found["apart"]["cut"]) == ("apart", False)
    assert found["told"] == ask(config, one, other).stdout.splitlines()
    assert len(set(found["apart"]["entities"])) == 2
    return [(link["event_id"], link["guards"]) for link in found["apart"]["links"]]


def named(text: str) -> dict[str, str]:
    kind, value = text.split(":", 1)
    return {"entity_type": "person", "type": kind, "value": value}


def test_a_limit_is_named(config: Path) -> None:
    assert said_of(config, "user_id:ann", "user_id:bob") == [
        "  user_id:ann with email:desk@x.example: event limit-1 of test, 2024-05-01T09:00:00.000Z",
        "  email:desk@x.example with user_id:bob: event limit-2 of test, 2024-05-01T09:01:00.000Z",
        "    refused (limit): user_id:bob and email:desk@x.example, else more than 1 of type user_id would be one",
    ]
    ends = [named("user_id:bob"), named("email:desk@x.example")]
    guard = {"guard": "limit", "identifiers": ends, "of": "user_id", "most": 1}
    assert guards_of(config, "user_id:ann", "user_id:bob") == [("limit-1", []), ("limit-2", [guard])]


def test_a_size_is_named(config: Path) -> None:
    one, other = "email:many-1@x.example", "email:many-2@x.example"
    refused = "    refused (size): {} and device:many, else more than 6 identifiers would be one"
    assert said_of(config, one, other)[1::2] == [refused.format(one), refused.format(other)]
    guards = [guard for _, guards in guards_of(config, one, other) for guard in guards]
    assert guards == [{"guard": "size", "identifiers": [named(end), named("device:many")], "most": 6} for end in (one, other)]


def test_a_hub_is_named(config: Path) -> None:
    told = "device:kiosk connects nothing and belongs to nobody: it is a hub, seen with more than 2 of type user_id"
    assert said_of(config, "user_id:guest-0", "user_id:guest-1")[1::2] == [f"    {told}"] * 2
    guard = {"guard": "hub", "identifiers": [named("device:kiosk")], "of": "user_id", "most": 2}
    assert guards_of(config, "user_id:guest-0", "user_id:guest-1") == [("hub-0", [guard]), ("hub-1", [guard])]
    asked = json.loads(ask(config, "user_id:guest-0", "device:kiosk", "--json").stdout)
    assert (asked["outcome"], asked["off"], asked["told"]) == ("off", guard, [told])


def test_a_forbidden_pair_is_named(config: Path) -> None:
    one, other = "email:son@x.example", "email:dad@x.example"
    assert said_of(config, one, other)[2:] == [
        f"    refused (forbidden): {other} and device:family, since a command forbids that {other} and {one} are one"
    ]
    ends = [named(other), named("device:family")]
    guard = {"guard": "forbidden", "identifiers": ends, "pair": [named(other), named(one)]}
    assert guards_of(config, one, other) == [("forbid-1", []), ("forbid-2", [guard])]


def test_a_block_by_command_is_named(config: Path) -> None:
    told = "device:lent connects nothing and belongs to nobody: a command blocks it"
    assert said_of(config, "email:one@x.example", "email:two@x.example")[1::2] == [f"    {told}"] * 2
    asked = ask(config, "device:lent", "email:two@x.example")
    assert (asked.exit_code, asked.stdout) == (1, f"{told}\n")


def test_a_value_that_the_settings_block_is_named_where_it_is_asked_about(config: Path) -> None:
    asked = ask(config, "user_id:cy", "email:Info@x.example")
    assert (asked.exit_code, type(asked.exception)) == (1, NexusError)
    assert str(asked.exception).startswith("email 'Info@x.example' is blocked for person: many share it")


def test_what_only_a_blocked_value_joins_is_connected_by_nothing(config: Path) -> None:
    shown = ask(config, "user_id:cy", "user_id:dee", "--json")
    told = ["nothing connects user_id:cy and user_id:dee: no links lead from one to the other"]
    ends = {"from": named("user_id:cy"), "to": named("user_id:dee")}
    assert (shown.exit_code, json.loads(shown.stdout)) == (1, {"outcome": "nothing", **ends, "told": told})


def test_a_link_by_command_that_a_guard_refuses_is_named(config: Path) -> None:
    link, guard = said_of(config, "user_id:eva", "user_id:fay")
    assert link.startswith("  user_id:eva with user_id:fay: by command, ")
    assert guard.endswith(", else more than 1 of type user_id would be one")


def test_an_identifier_without_a_link_that_counts_is_itself(config: Path) -> None:
    shown = ask(config, "email:many-1@x.example", "email:many-1@x.example")
    assert (shown.exit_code, shown.stdout) == (0, "email:many-1@x.example and email:many-1@x.example are the same identifier\n")


def test_what_was_not_computed_is_said(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.apart.apart.__defaults__", (1,))
    *_, refused, read, computed = said_of(config, "user_id:ann", "user_id:bob")
    assert refused.startswith("    refused: email:desk@x.example belongs to per_")
    assert refused.endswith("; by what was not computed")
    assert read == "  of the links around them 2 were read, and there are more: blocked identifiers and hubs are named,"
    assert computed == "  but what a limit, the size or a forbidden pair refuses was not computed"
    found = json.loads(ask(config, "user_id:ann", "user_id:bob", "--json").stdout)["apart"]
    assert (found["cut"], found["links_read"]) == (True, 2)
    assert [link["entities"] for link in found["links"]] == [[found["entities"][0]] * 2, found["entities"]]
    hub = said_of(config, "user_id:guest-0", "user_id:guest-1")
    assert sum("it is a hub" in line for line in hub) == 2


@pytest.mark.parametrize(
    ("words", "unsent"),
    [(("block", "device:family"), "command"), (("erase", "device:family"), "commands")],
    ids=["block", "erase"],
)
def test_a_dry_run_says_how_far_it_looked(config: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], unsent: str) -> None:
    monkeypatch.setattr("resolvers.preview.surroundings.__defaults__", (1,))
    arguments = [*words, "--dry-run", "--config", str(config)]
    found = json.loads(CliRunner().invoke(build_app(), [*arguments, "--json"]).stdout)
    assert (found["sent"], found["changes"], found[unsent] is not None) == (False, None, True)
    looked = found["looked_at"]
    assert (looked["links"], len(looked["entity_ids"])) == (2, 2)
    shown = CliRunner().invoke(build_app(), arguments)
    assert shown.exit_code == 0
    assert shown.stdout.splitlines() == [
        f"looked at 2 links of {looked['identifiers']} identifiers, and more hang together with them",
        f"what is named, or was seen together with that, is now of {', '.join(looked['entity_ids'])}",
        "what is split, merged or moved, and what of the rest is touched, was not computed: the workers do that",
    ]
