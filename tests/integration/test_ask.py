"""`nexus resolve` and `nexus entity` against a space in a real Redis."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from resolvers.correction import Correction, CorrectionBatch, Kind
from resolvers.erasure import Erasure
from resolvers.errors import NexusError, SettingsError
from resolvers.evidence import evidence_of
from resolvers.identifier import Identifier as Identity
from resolvers.identifier import entity_id, identifier_digest
from resolvers.sighting import Batch, Position
from streams.cli import build_app
from streams.events import Event, Identifier, Participant
from streams.graph import open_graph, rules_of
from streams.settings import Settings, load_settings

SETTINGS = """
space: {space}
redis: {{url: "{url}"}}
entities:
  person:
    identifiers: {{user_id: {{}}, email: {{normalise: email}}}}
    blocked: ["re:^info@"]
  group:
    identifiers: {{domain: {{normalise: domain}}}}
"""


def sighting(event_id: str, at: str, **identifiers: str) -> Event:
    listed = [Identifier(kind, value) for kind, value in identifiers.items()]
    return Event(event_id, "crm", "seen", at, participants=[Participant("person", "", listed, {"name": "Ann"})])


ANN = [
    sighting("e1", "2024-05-01T00:00:00.000Z", email="ann@x.example"),
    sighting("e2", "2024-05-02T00:00:00.000Z", user_id="u-1"),
    sighting("e3", "2024-05-03T00:00:00.000Z", user_id="u-1", email="ann@x.example"),
]


@pytest.fixture(scope="module")
def config(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write settings of a space in which Ann is known."""
    path = tmp_path_factory.mktemp("ask") / "nexus.yaml"
    path.write_text(SETTINGS.format(space="ask", url=redis_url), encoding="utf-8")
    asyncio.run(_know(load_settings(path, {}), ANN))
    return path


async def _know(settings: Settings, events: list[Event]) -> None:
    rules = rules_of(settings)
    async with open_graph(settings) as graph:
        await graph.apply(Batch("events", 0, 0, Position(len(events), 1), tuple(evidence_of(rules, one) for one in events)))


def ask(config: Path, *words: str) -> Result:
    return CliRunner().invoke(build_app(), [*words, "--config", str(config)])


def id_of(config: Path, kind: str, value: str) -> str:
    key = load_settings(config, {}).identity_key.get_secret_value().encode()
    return entity_id("per", identifier_digest(key, Identity("person", kind, value)))


def test_resolve_normalises_and_shows_the_entity(config: Path) -> None:
    shown = ask(config, "resolve", "email", "  Ann@X.example ", "--json")
    document = json.loads(shown.output)
    assert document["entity_id"] == id_of(config, "email", "ann@x.example")
    assert [one["value"] for one in document["identifiers"]] == ["ann@x.example", "u-1"]


def test_resolve_for_people(config: Path) -> None:
    shown = ask(config, "resolve", "user_id", "u-1")
    assert shown.output.splitlines() == [
        f"{id_of(config, 'email', 'ann@x.example')}  person  Ann",
        "  first seen  2024-05-01T00:00:00.000Z",
        "  last seen   2024-05-03T00h",
        "  name        Ann",
        "  2 identifiers:",
        "    email    2024-05-01  ann@x.example",
        "    user_id  2024-05-02  u-1",
    ]


def test_entity_of_an_id_that_was_merged_says_so_and_shows_the_living_one(config: Path) -> None:
    former, living = id_of(config, "user_id", "u-1"), id_of(config, "email", "ann@x.example")
    shown = ask(config, "entity", former)
    assert shown.output.splitlines()[:2] == [f"{former} was merged into {living}", f"{living}  person  Ann"]
    document = json.loads(ask(config, "entity", former, "--json").output)
    assert (document["status"], document["merged_into"], document["entity"]["entity_id"]) == ("merged", living, living)


def test_entity_of_a_living_id(config: Path) -> None:
    living = id_of(config, "email", "ann@x.example")
    document = json.loads(ask(config, "entity", living, "--json").output)
    assert (document["entity_id"], document["status"]) == (living, "active")


@pytest.fixture(scope="module")
def corrected(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write settings of a space in which Ann's founding identifier was blocked, and then Bob was erased."""
    path = tmp_path_factory.mktemp("ask") / "nexus.yaml"
    path.write_text(SETTINGS.format(space="ask-corrected", url=redis_url), encoding="utf-8")
    asyncio.run(_correct(load_settings(path, {})))
    return path


async def _correct(settings: Settings) -> None:
    await _know(settings, [*ANN, sighting("e4", "2024-05-01T00:00:00.000Z", user_id="u-2")])
    rules = rules_of(settings)
    ann, bob = (rules.usable("person", *one) for one in (("email", "ann@x.example"), ("user_id", "u-2")))
    assert ann is not None
    assert bob is not None
    said = (Correction("c1", Kind.BLOCK, holds=True, identifiers=(ann,), issued_at=1), Erasure("c2", (bob,), 1_800_000_000_000))
    async with open_graph(settings) as graph:
        await graph.correct(CorrectionBatch("commands", 0, 0, Position(2, 1), said))
        for _ in range(5):
            await graph.settle()


def test_entity_of_an_id_that_was_split_names_its_successors(corrected: Path) -> None:
    former, living = id_of(corrected, "email", "ann@x.example"), id_of(corrected, "user_id", "u-1")
    told = ask(corrected, "entity", former, "--json")
    assert json.loads(told.stdout) == {"entity_id": former, "entity_type": "person", "status": "split", "successors": [living]}
    shown = ask(corrected, "entity", former)
    assert shown.stdout == f"{former} was split, its founding identifier connects nothing; of it came {living}\n"
    assert (told.exit_code, shown.exit_code) == (0, 0)


def test_entity_of_an_id_that_was_erased_says_so(corrected: Path) -> None:
    former = id_of(corrected, "user_id", "u-2")
    told = ask(corrected, "entity", former, "--json")
    assert json.loads(told.stdout) == {"entity_id": former, "entity_type": "person", "status": "erased"}
    shown = ask(corrected, "entity", former)
    assert shown.stdout == f"{former} was erased\n"
    assert (told.exit_code, shown.exit_code) == (0, 0)
    drawn = ask(corrected, "entity", former, "--graph", "json")
    assert str(drawn.exception) == f"there is no graph to draw: {former} was erased"


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("resolve", "email", "bob@x.example"), NexusError, "no person with email bob@x.example is known in space ask"),
        (("resolve", "domain", "www.X.example"), NexusError, "no group with domain x.example is known in space ask"),
        (("resolve", "email", "Info@x.example"), NexusError, "email 'Info@x.example' is blocked for person"),
        (("resolve", "email", " "), NexusError, "an empty value identifies nobody"),
        (("resolve", "mail", "a"), SettingsError, "person has user_id, email; group has domain; did you mean 'email'?"),
        (("resolve", "domain", "a", "--entity", "person"), SettingsError, "no identifier type 'domain': person has user_id, email"),
        (
            ("resolve", "email", "a", "--entity", "persn"),
            SettingsError,
            "--entity persn: the settings declare person, group; did you mean 'person'",
        ),
        (("entity", "per_" + "a" * 26), NexusError, f"no entity per_{'a' * 26} is known in space ask"),
        (("entity", "mara"), NexusError, "'mara' is not an entity id"),
    ],
)
def test_what_cannot_be_answered_is_one_clear_line(config: Path, words: tuple[str, ...], error: type[Exception], said: str) -> None:
    shown = ask(config, *words)
    assert shown.exit_code == 1
    assert type(shown.exception) is error
    assert said in str(shown.exception)
    assert "\n" not in str(shown.exception)


def test_asking_makes_no_space(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "nexus.yaml"
    path.write_text(SETTINGS.format(space="ask-nowhere", url=redis_url), encoding="utf-8")
    for words in (("resolve", "email", "ann@x.example"), ("entity", "per_" + "a" * 26)):
        shown = ask(path, *words)
        assert "has no space 'ask-nowhere': `nexus worker` makes it" in str(shown.exception)
    with Redis.from_url(redis_url) as redis:
        assert list(redis.scan_iter(match="nexus:{ask-nowhere}*")) == []
