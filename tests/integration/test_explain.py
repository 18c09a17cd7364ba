"""`nexus explain` and `nexus entity --graph` against a real Redis, and every event that they name looked up in a real log."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from resolvers.errors import NexusError, SettingsError
from resolvers.evidence import evidence_of
from resolvers.explanation import Connected, explain
from resolvers.identifier import Identifier as Identity
from resolvers.identifier import entity_id, identifier_digest
from resolvers.instant import write_instant
from resolvers.link import SeenLink
from resolvers.port import Resolver
from resolvers.reach import draw
from resolvers.sighting import Batch, Position
from streams.cli import build_app
from streams.crew import Worker
from streams.drain import measuring
from streams.events import Event, Identifier, Participant
from streams.graph import open_graph, rules_of
from streams.publishing import publish_files
from streams.run import isolated
from streams.settings import Settings, load_settings, settings_from
from streams.stack import Addresses
from streams.topics import delete_topics, ensure_topics
from streams.verify.read_log import TopicReader
from tests.crowd import SETTINGS as CROWD
from tests.crowd import records

SETTINGS = """
space: {space}
redis: {{url: "{url}"}}
entities:
  person:
    identifiers: {{user_id: {{}}, email: {{normalise: email}}, device: {{}}}}
    blocked: ["re:^info@"]
  group:
    identifiers: {{domain: {{normalise: domain}}, device: {{}}}}
"""


def sighting(event_id: str, at: str, entity: str = "person", **identifiers: str) -> Event:
    listed = [Identifier(kind, value) for kind, value in identifiers.items()]
    return Event(event_id, "crm", "seen", at, participants=[Participant(entity, "", listed)])


SEEN = [
    sighting("e1", "2024-05-01T00:00:00.000Z", email="ann@x.example", device="urn:tv"),
    sighting("e2", "2024-05-02T00:00:00.000Z", user_id="u-1", email="Ann@X.example", device="phone"),
    sighting("e3", "2024-05-03T00:00:00.000Z", user_id="u-1", email="a.archer@x.example"),
    sighting("e4", "2024-05-04T00:00:00.000Z", user_id="u-2", device='odd\x1b[2J"\\'),
    sighting("e5", "2024-05-05T00:00:00.000Z", entity="group", domain="x.example", device="till"),
]


@pytest.fixture(scope="module")
def config(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write settings of a space in which Ann and Bob are known."""
    path = tmp_path_factory.mktemp("explain") / "nexus.yaml"
    path.write_text(SETTINGS.format(space="explain", url=redis_url), encoding="utf-8")
    asyncio.run(_know(load_settings(path, {}), SEEN))
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


def test_explain_for_people(config: Path) -> None:
    shown = ask(config, "explain", "device:urn:tv", "person:email:A.Archer@x.example")
    assert shown.output.splitlines() == [
        "device:urn:tv and email:a.archer@x.example are connected by 3 links:",
        "  device:urn:tv with email:ann@x.example: event e1 of crm, 2024-05-01T00:00:00.000Z",
        "  email:ann@x.example with user_id:u-1 (and device:phone): event e2 of crm, 2024-05-02T00:00:00.000Z",
        "  user_id:u-1 with email:a.archer@x.example: event e3 of crm, 2024-05-03T00:00:00.000Z",
    ]


def test_explain_as_json(config: Path) -> None:
    shown = json.loads(ask(config, "explain", "user_id:u-1", "email:a.archer@x.example", "--json").output)
    user = {"entity_type": "person", "type": "user_id", "value": "u-1"}
    address = {"entity_type": "person", "type": "email", "value": "a.archer@x.example"}
    link = {
        "identifiers": [{"type": "user_id", "value": "u-1"}, {"type": "email", "value": "a.archer@x.example"}],
        "source": "crm",
        "event_id": "e3",
        "first_seen": "2024-05-03T00:00:00.000Z",
        "last_seen": "2024-05-03T00:00:00.000Z",
    }
    assert shown == {"outcome": "connected", "from": user, "to": address, "links": [{"from": user, "to": address, **link}]}


def test_explain_of_one_identifier_twice(config: Path) -> None:
    assert ask(config, "explain", "email:ann@x.example", "email:ANN@x.example").output == (
        "email:ann@x.example and email:ann@x.example are the same identifier\n"
    )


def test_explain_with_an_entity_type(config: Path) -> None:
    shown = ask(config, "explain", "device:till", "domain:www.x.example", "--entity", "group")
    assert shown.output.splitlines()[1:] == ["  device:till with domain:x.example: event e5 of crm, 2024-05-05T00:00:00.000Z"]


def test_what_a_terminal_would_act_on_is_written_out(config: Path) -> None:
    shown = ask(config, "explain", "user_id:u-2", 'device:odd\x1b[2J"\\')
    assert '  user_id:u-2 with device:odd\\x1b[2J"\\: event e4' in shown.output


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (("user_id:u-1", "device:absent"), NexusError, "no person with device absent is known in space explain"),
        (("user_id:u-1", "email:Info@x.example"), NexusError, "email 'Info@x.example' is blocked for person"),
        (("user_id:u-1", "email:"), NexusError, "an empty value identifies nobody"),
        (("user_id:u-1", "ann"), NexusError, "'ann' is no identifier: write TYPE:VALUE"),
        (("user_id:u-1", "mail:a@x.example"), SettingsError, "did you mean 'email'?"),
        (("user_id:u-1", "email:a@x.example", "--entity", "persn"), SettingsError, "did you mean 'person'"),
    ],
)
def test_what_cannot_be_explained_is_one_clear_line(config: Path, words: tuple[str, ...], error: type[Exception], said: str) -> None:
    shown = ask(config, "explain", *words)
    assert shown.exit_code == 1
    assert type(shown.exception) is error
    assert said in str(shown.exception)
    assert "\n" not in str(shown.exception)


@pytest.mark.parametrize("other", ["user_id:u-2", "group:domain:x.example"])
def test_that_nothing_connects_two_is_an_answer(config: Path, other: str) -> None:
    told = f"nothing connects user_id:u-1 and {other.removeprefix('group:')}: no links lead from one to the other"
    shown = ask(config, "explain", "user_id:u-1", other)
    assert (shown.exit_code, shown.stdout, shown.stderr) == (1, f"{told}\n", "")
    found = json.loads(ask(config, "explain", "user_id:u-1", other, "--json").stdout)
    assert (found["outcome"], found["told"]) == ("nothing", [told])


def test_a_search_that_gives_up_says_whose_they_are(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.explanation.explain.__defaults__", (1,))
    shown = ask(config, "explain", "device:urn:tv", "email:a.archer@x.example")
    living = json.loads(ask(config, "resolve", "user_id", "u-1", "--json").output)["entity_id"]
    told = f"gave up on device:urn:tv and email:a.archer@x.example after 1 link: both belong to {living}"
    assert (shown.exit_code, shown.stdout) == (1, f"{told}\n")
    found = json.loads(ask(config, "explain", "device:urn:tv", "email:a.archer@x.example", "--json").stdout)
    assert (found["outcome"], found["gave_up"]) == ("gave_up", {"entities": [living, living], "links_read": 1})


def test_explaining_makes_no_space(redis_url: str, tmp_path: Path) -> None:
    path = tmp_path / "nexus.yaml"
    path.write_text(SETTINGS.format(space="explain-nowhere", url=redis_url), encoding="utf-8")
    shown = ask(path, "explain", "user_id:u-1", "user_id:u-2")
    assert "has no space 'explain-nowhere': `nexus worker` makes it" in str(shown.exception)


def test_the_graph_of_an_entity(config: Path) -> None:
    shown = json.loads(ask(config, "entity", id_of(config, "user_id", "u-1"), "--graph", "json").stdout)
    assert (shown["identifier_count"], shown["cut"]) == (5, False)
    assert [one["value"] for one in shown["identifiers"]] == ["phone", "urn:tv", "a.archer@x.example", "ann@x.example", "u-1"]
    assert [(one["event_id"], len(one["identifiers"])) for one in shown["links"]] == [("e1", 2), ("e2", 3), ("e3", 2)]


def test_the_graph_of_an_entity_for_graphviz(config: Path) -> None:
    shown = ask(config, "entity", id_of(config, "user_id", "u-2"), "--graph", "dot").stdout.splitlines()
    assert shown[0].startswith('graph "per_')
    assert shown[1:] == [
        "  node [shape=box];",
        r'  "device:odd\\x1b[2J\"\\";',
        '  "user_id:u-2";',
        r'  "user_id:u-2" -- "device:odd\\x1b[2J\"\\" [label="crm e4 2024-05-04T00:00:00.000Z"];',
        "}",
    ]


def test_a_graph_that_is_cut_says_so(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.cli.ask.MOST_DRAWN", 1)
    shown = ask(config, "entity", id_of(config, "user_id", "u-1"), "--graph", "dot")
    assert 'label="cut: ' in shown.stdout
    assert "links of a larger entity, nearest to its founder" in shown.stderr


@pytest.mark.stack
@pytest.mark.timeout(360)
async def test_every_event_that_is_named_is_in_the_log_and_shows_what_it_is_named_for(stack: Addresses, tmp_path: Path) -> None:
    addresses = {"kafka": {"bootstrap_servers": stack.bootstrap_servers}, "redis": {"url": stack.redis_url}}
    settings = isolated(settings_from({**_limited(CROWD), **addresses, "partitions": 2}), "explained")
    (tmp_path / "nexus.yaml").write_text(settings.to_yaml(), encoding="utf-8")
    file = tmp_path / "crowd.jsonl"
    file.write_bytes(b"".join(line.replace(b"\n", b" ") + b"\n" for line in records(600)))
    await ensure_topics(settings)
    async with open_graph(settings) as resolver, measuring(settings, resolver) as drain:
        worker = await Worker.start(settings, tmp_path, "worker")
        try:
            await publish_files(settings, "crowd", [file])
            behind = await drain.wait(60)
            assert behind.nothing, str(behind)
            links = await named_links(resolver)
            log = await read_log(settings)
            printed = await printed_links(settings, tmp_path / "nexus.yaml", [link for link in links if len(link.identifiers) > 1][:20])
        finally:
            await worker.stop()
            await delete_topics(settings)
            await resolver.drop()
    assert len(links) > 100
    for link in links:
        assert log[link.first.source, link.first.event_id]["occurred_at"] == write_instant(link.first.occurred_at)
        assert shows(settings, log[link.first.source, link.first.event_id], link)
    assert len(printed["connected"]) > 10
    assert len(printed["apart"]) > 5
    for one in (*printed["connected"], *printed["apart"]):
        found = log[one["source"], one["event_id"]]
        assert found["occurred_at"] == one["first_seen"]
        named = {Identity(one["from"]["entity_type"], each["type"], each["value"]) for each in one["identifiers"]}
        assert any(named <= set(_usable(settings, participant)) for participant in found["participants"])


def _limited(settings: dict[str, Any]) -> dict[str, Any]:
    """Allow one user id to a person, so that devices which several use bring something to refuse."""
    changed = copy.deepcopy(settings)
    changed["entities"]["person"]["identifiers"]["user_id"] = {"limit": 1}
    return changed


async def printed_links(settings: Settings, config: Path, connected: list[SeenLink]) -> dict[str, list[dict[str, Any]]]:
    """Give the links that the command prints: of pairs on these links, and of the first pairs that a guard refused."""
    pairs = [(link.identifiers[0].identifier, link.identifiers[1].identifier) for link in connected]
    pairs += (await refused_pairs(settings))[:20]
    printed: dict[str, list[dict[str, Any]]] = {"connected": [], "apart": []}
    for pair in pairs:
        words = [f"{one.entity_type}:{one.type}:{one.value}" for one in pair]
        found = json.loads((await asyncio.to_thread(ask, config, "explain", *words, "--json")).stdout)
        links = found["links"] if found["outcome"] == "connected" else found["apart"]["links"]
        assert links
        assert found["outcome"] == "connected" or any(link["guards"] for link in links)
        printed[found["outcome"]] += links
    return printed


async def refused_pairs(settings: Settings) -> list[tuple[Identity, Identity]]:
    """Read from the timeline which identifiers a guard kept apart: the two strongest of each link of persons."""
    found: list[tuple[Identity, Identity]] = []

    def take(record: Any) -> None:
        told = orjson.loads(record.value)
        if told["kind"] == "merge.refused":
            one, other = (Identity("person", each["type"], each["value"]) for each in told["data"]["identifiers"][:2])
            found.append((one, other))

    async with TopicReader(settings, settings.topic("timeline")) as reader:
        await reader.read(take)
    return found


async def named_links(resolver: Resolver) -> list[SeenLink]:
    """Explain random pairs of identifiers of every entity, and draw it: all links that are named."""
    pick = Random(3)
    found: list[SeenLink] = []
    entities = [document async for topic, _, document in resolver.documents() if topic == "entities"]
    for document in entities:
        listed = [Identity(document["entity_type"], one["type"], one["value"]) for one in document["identifiers"]]
        found += (await draw(resolver, listed[0], 1_000)).links
        for _ in range(3):
            one, other = pick.choice(listed), pick.choice(listed)
            outcome = await explain(resolver, one, other)
            assert isinstance(outcome, Connected)
            assert (one == other) == (not outcome.chain)
            found += [step.link for step in outcome.chain]
    return found


async def read_log(settings: Settings) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the event log: by source and event id."""
    events = []
    async with TopicReader(settings, settings.topic("events")) as reader:
        await reader.read(lambda record: events.append(orjson.loads(record.value)))
    return {(one["source"], one["event_id"]): one for one in events}


def shows(settings: Settings, event: dict[str, Any], link: SeenLink) -> bool:
    """Say whether an event has a participant with exactly the link's identifiers, those that connect."""
    return any(link.linked == set(_usable(settings, participant)) for participant in event["participants"])


def _usable(settings: Settings, participant: dict[str, Any]) -> Iterator[Identity]:
    rules = rules_of(settings)
    for one in participant.get("identifiers", []):
        if (usable := rules.usable(participant["entity"], one["type"], one["value"])) is not None:
            yield usable.identifier
