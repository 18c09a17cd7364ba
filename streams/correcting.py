"""Correcting: what a command would change, and sending it.

Invariant: a command is checked as the stage that reads it will, so that none is sent that ends in the dead letters; looking
changes nothing. Neighbours: `command` reads and writes one, `resolvers.preview` computes what it would change.
"""

from __future__ import annotations

from dataclasses import dataclass

from resolvers.correction import Correction
from resolvers.identifier import Identifier
from resolvers.preview import Picture, Preview, difference, picture, surroundings
from streams import kafka
from streams.command import Command, correction_of, write_command
from streams.graph import open_graph, rules_of
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Foretold:
    """What a command would change. `preview` is None where too much hangs together to compute it here."""

    correction: Correction
    preview: Preview | None
    before: Picture | None
    unseen: tuple[Identifier, ...]
    """Identifiers that the command names and no event has shown yet; it holds for them from the first on."""


async def foretell(settings: Settings, command: Command, now_ms: int) -> Foretold:
    """Compute what a command would change now. Raises Rejected, StoreMismatch where there is no space, RedisUnavailable."""
    rules = rules_of(settings)
    correction = correction_of(rules, command, now_ms)
    named = [usable.identifier for usable in correction.identifiers]
    async with open_graph(settings, check=False) as graph:
        around = await surroundings(graph, named)
    unseen = tuple(one for one in named if not around.standings[one].known)
    if around.cut:
        return Foretold(correction, None, None, unseen)
    before = picture(rules, around)
    return Foretold(correction, difference(before, picture(rules, around, [correction])), before, unseen)


async def send(settings: Settings, command: Command) -> None:
    """Write a command to its topic; returns when Kafka has acknowledged it. Raises KafkaUnavailable, aiokafka's KafkaError."""
    producer = await kafka.started(kafka.producer(settings, what="command"), settings.kafka, "command")
    try:
        await producer.send_and_wait(settings.topic("commands"), write_command(command), key=command.command_id.encode())
    finally:
        await kafka.stop(producer)
