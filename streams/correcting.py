"""Correcting: what a command would change, and sending it.

Invariant: a command is checked as the stage that reads it will, so that none is sent that ends in the dead letters; looking
changes nothing. Neighbours: `command` reads and writes one, `resolvers.preview` computes what it would change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from resolvers.correction import Correction
from resolvers.identifier import Identifier
from resolvers.port import Resolver
from resolvers.preview import Picture, Preview, Surroundings, difference, picture, surroundings
from streams import kafka
from streams.command import Command, correction_of, write_command
from streams.graph import open_graph, rules_of
from streams.settings import Settings

MOST_TOUCHED = 1_000
"""So many identifiers are asked for their entity, where what changes is not computed."""


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What was read around the identifiers that a command names, where more hangs together than is read.

    `touched` are entities that these identifiers are of now, and those that were seen together with them, as far as was read.
    """

    links: int
    identifiers: int
    touched: tuple[str, ...]


async def looked_at(graph: Resolver, around: Surroundings, named: Sequence[Identifier]) -> LookedAt | None:
    """Say what was read, and which entities it is about now; None where all was. Asks for at most `MOST_TOUCHED` identifiers."""
    if not around.cut:
        return None
    asked = set(named)
    beside = (one for link in around.links.values() if not link.linked.isdisjoint(asked) for one in sorted(link.linked))
    near = list(islice(dict.fromkeys((*named, *beside)), MOST_TOUCHED))
    found = [document for one in near if (document := await graph.identifier(one)) is not None]
    touched = tuple(sorted({str(document["entity_id"]) for document in found}))
    return LookedAt(len(around.links), len(around.standings), touched)


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a command would change. `preview` is None where too much hangs together to compute it here, and `looked_at` there alone."""

    correction: Correction
    preview: Preview | None
    before: Picture | None
    looked_at: LookedAt | None
    unseen: tuple[Identifier, ...]
    """Identifiers that the command names and no event has shown yet; it holds for them from the first on."""


async def foretell(settings: Settings, command: Command, now_ms: int) -> Foretold:
    """Compute what a command would change now. Raises Rejected, StoreMismatch where there is no space, RedisUnavailable."""
    rules = rules_of(settings)
    correction = correction_of(rules, command, now_ms)
    named = [usable.identifier for usable in correction.identifiers]
    async with open_graph(settings, check=False) as graph:
        around = await surroundings(graph, named)
        near = await looked_at(graph, around, named)
    unseen = tuple(one for one in named if not around.standings[one].known)
    if near is not None:
        return Foretold(correction, None, None, near, unseen)
    before = picture(rules, around)
    return Foretold(correction, difference(before, picture(rules, around, [correction])), before, near, unseen)


async def send(settings: Settings, command: Command) -> None:
    """Write a command to its topic; returns when Kafka has acknowledged it. Raises KafkaUnavailable, aiokafka's KafkaError."""
    producer = await kafka.started(kafka.producer(settings, what="command"), settings.kafka, "command")
    try:
        await producer.send_and_wait(settings.topic("commands"), write_command(command), key=command.command_id.encode())
    finally:
        await kafka.stop(producer)
