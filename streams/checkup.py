"""What is right, doubtful or wrong about the settings and about what they name.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `kafka_checkup` and `redis_checkup` ask
outside; `nexus check` prints the findings.
"""

from __future__ import annotations

from collections.abc import Iterator

from resolvers.errors import SettingsError
from streams.adapters import build_adapter
from streams.finding import Finding
from streams.kafka_checkup import examine_kafka
from streams.redis_checkup import examine_redis
from streams.settings import Settings, SourceSettings
from streams.settings.problem import suggestion

FEW_CHARACTERS = 16
"""An identity key of fewer can be found by trying."""


def examine(settings: Settings) -> list[Finding]:
    """Look at the settings alone; imports the adapters that they name."""
    return [_identity_key(settings), *_sources(settings), *_unknown_sources(settings)]


def _identity_key(settings: Settings) -> Finding:
    if settings.uses_development_key:
        text = "the key for trying out, which everyone knows: set it (or NEXUS__IDENTITY_KEY) before the first event of production"
        return Finding("warning", "identity_key", text)
    if len(settings.identity_key.get_secret_value()) < FEW_CHARACTERS:
        text = f"has fewer than {FEW_CHARACTERS} characters, and can be guessed from ids; it cannot be changed after the first event"
        return Finding("warning", "identity_key", text)
    return Finding("ok", "identity_key", "is set")


def _sources(settings: Settings) -> Iterator[Finding]:
    if not settings.sources:
        yield Finding("warning", "sources", "there are none: nothing is read but the event log")
    for name, source in settings.sources.items():
        what = f"sources.{name}"
        try:
            build_adapter(name, source, settings.times, settings.own_domains)
        except SettingsError as error:
            key, _, text = str(error).partition(": ")
            yield Finding("error", key, text)
        else:
            yield Finding("ok", what, f"{source.topic} is read by {source.adapter}")
        yield from _undeclared(what, source, settings)


def _unknown_sources(settings: Settings) -> Iterator[Finding]:
    """Find sources that rules name and nothing declares. Events may be of others: who resolves only need not declare any."""
    known = list(settings.sources)
    named = [
        (f"states[{at}].rules[{place}].source", rule.source)
        for at, state in enumerate(settings.states)
        for place, rule in enumerate(state.rules)
    ]
    named += [
        (f"entities.{entity}.traits.{trait}.sources", source)
        for entity, declared in settings.entities.items()
        for trait, rule in declared.traits.items()
        for source in rule.sources
    ]
    for what, source in named if known else ():
        if source is not None and source not in known:
            yield Finding("warning", what, f"{source!r} is no declared source: {', '.join(known)}{suggestion(source, known)}")


def _undeclared(what: str, source: SourceSettings, settings: Settings) -> Iterator[Finding]:
    for index, participant in enumerate(source.participants):
        declared = settings.entities[participant.entity].identifiers
        for kind in participant.identifiers:
            if kind not in declared:
                text = f"{kind!r} is not declared for {participant.entity}: it stays on the event and connects nothing"
                yield Finding("warning", f"{what}.participants[{index}].identifiers", text)


async def examine_outside(settings: Settings) -> list[Finding]:
    """Ask Kafka and Redis: whether they answer, what they are, and what their users may do."""
    return [*await examine_kafka(settings), *await examine_redis(settings)]
