"""What must agree between sections of the settings, as pure functions.

Invariant: nothing here raises; every disagreement is a `Problem` with its key path. Neighbours: `state_checks` looks at the
states; `model` runs these when a `Settings` is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from resolvers.blocked import BlockedValues
from streams.settings.addresses import bootstrap_problem, redis_problem
from streams.settings.expressions import expression_problems
from streams.settings.problem import Problem, suggestion
from streams.settings.sections import ENTITY_TYPE, IDENTIFIER_TYPE
from streams.settings.state_checks import state_problems

if TYPE_CHECKING:
    from streams.settings.model import Settings
    from streams.settings.sections import EntitySettings, SourceSettings

BUILT_IN_ADAPTERS = ("mapping", "segment", "gmail", "google_calendar", "stripe", "shopify")
"""Adapters that come with the package, by the name that `adapter` takes."""

EVENT_FIELDS = ("id", "name", "occurred_at", "type", "description", "value", "value_unit", "significance")
"""Keys that `event` of a mapping source takes."""

TOPIC_NAMES = ("events", "commands", "dead-letters", "entities", "identifiers", "memberships", "participants", "timeline")
"""The topics that nexus writes, in DESIGN's words."""

_FUNCTION = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$")
_TOPIC = re.compile(r"^[A-Za-z0-9._-]{1,249}$")
_SOURCE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$")
_RFC_3339 = re.compile(r"^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$")


def disagreements(settings: Settings) -> list[Problem]:
    """List everything that is wrong between sections, in the order of the file."""
    return [
        *_addresses(settings),
        *_topic_settings(settings),
        *_security(settings),
        *_entities(settings.entities),
        *_sources(settings),
        *state_problems(settings),
        *_times_and_worker(settings),
    ]


def _addresses(settings: Settings) -> Iterator[Problem]:
    for path, value, problem in (
        (("kafka", "bootstrap_servers"), settings.kafka.bootstrap_servers, bootstrap_problem),
        (("redis", "url"), settings.redis.url, redis_problem),
    ):
        allowed = problem(value)
        if allowed is not None:
            yield Problem(path, value, allowed)


def _topic_settings(settings: Settings) -> Iterator[Problem]:
    for name in settings.topics.config:
        if name not in TOPIC_NAMES:
            yield Problem(("topics", "config", name), name, f"must be one of {', '.join(TOPIC_NAMES)}{suggestion(name, TOPIC_NAMES)}")


def _security(settings: Settings) -> Iterator[Problem]:
    security = settings.kafka.security
    path = ("kafka", "security")
    by_token = security.mechanism == "OAUTHBEARER"
    if security.protocol.startswith("SASL") and by_token and security.token_provider is None:
        yield Problem((*path, "mechanism"), security.mechanism, "needs kafka.security.token_provider")
    elif security.protocol.startswith("SASL") and not by_token and (security.username is None or security.password is None):
        yield Problem((*path, "protocol"), security.protocol, "needs kafka.security.username and kafka.security.password")
    if (security.cert_file is None) != (security.key_file is None):
        yield Problem((*path, "cert_file"), security.cert_file, "cert_file and key_file go together")


def _entities(entities: dict[str, EntitySettings]) -> Iterator[Problem]:
    prefixes: dict[str, str] = {}
    for name, entity in entities.items():
        path = ("entities", name)
        if not re.match(ENTITY_TYPE, name):
            yield Problem(path, name, "an entity type is lower case letters, digits and _, and begins with a letter")
        prefix = entity.prefix or ""
        if not re.match(r"^[a-z][a-z0-9]{0,9}$", prefix):
            yield Problem(
                (*path, "prefix"), prefix, "must be given for this entity type: a lower case letter, then up to nine letters or digits"
            )
        if prefix in prefixes:
            yield Problem((*path, "prefix"), prefix, f"is the prefix of {prefixes[prefix]!r} too; each entity type needs its own")
        prefixes[prefix] = name
        yield from _patterns((*path, "blocked"), entity.blocked)
        yield from _identifiers(path, entity)
        for trait, chosen in entity.traits.items():
            if (chosen.keep == "source") != bool(chosen.sources):
                yield Problem((*path, "traits", trait, "sources"), chosen.sources, "goes with keep: source, and only with that")


def _identifiers(path: tuple[str | int, ...], entity: EntitySettings) -> Iterator[Problem]:
    taken: dict[int | None, str] = {}
    for kind, identifier in entity.identifiers.items():
        here = (*path, "identifiers", kind)
        if not re.match(IDENTIFIER_TYPE, kind):
            yield Problem(here, kind, "an identifier type is letters, digits and _ . -, and begins with a letter")
        if identifier.priority in taken:
            other = taken[identifier.priority]
            yield Problem(
                (*here, "priority"), identifier.priority, f"is the priority of {other!r} too; give each type its own, 1 is the strongest"
            )
        taken[identifier.priority] = kind
        if identifier.region is not None and identifier.normalise != "phone":
            yield Problem((*here, "region"), identifier.region, "is only for normalise: phone")
        yield from _hub(here, kind, entity)
        yield from _patterns((*here, "blocked"), identifier.blocked)


def _hub(here: tuple[str | int, ...], kind: str, entity: EntitySettings) -> Iterator[Problem]:
    hub = entity.identifiers[kind].hub
    if hub is None:
        return
    mine = entity.identifiers[kind].priority or 0
    stronger = [other for other, settings in entity.identifiers.items() if (settings.priority or 0) < mine]
    if hub.of not in stronger:
        allowed = f"one of {', '.join(stronger)}" if stronger else "left out, since no identifier type is stronger"
        yield Problem((*here, "hub", "of"), hub.of, f"must be {allowed}{suggestion(hub.of, stronger)}")


def _patterns(path: tuple[str | int, ...], blocked: list[str]) -> Iterator[Problem]:
    for index, value in enumerate(blocked):
        if not value.strip():
            yield Problem((*path, index), value, "must not be empty; empty values never count anyway")
        try:
            BlockedValues.of([value])
        except ValueError as error:
            yield Problem((*path, index), value, str(error))


def _sources(settings: Settings) -> Iterator[Problem]:
    taken = {settings.topic(name): f"nexus's own topic {name!r}" for name in TOPIC_NAMES}
    for own in taken:
        if not _TOPIC.match(own) or own in {".", ".."}:
            yield Problem(
                ("topics", "prefix"), settings.topics.prefix, f"the topic name {own!r} is not allowed in Kafka: at most 249 characters"
            )
            break
    for name, source in settings.sources.items():
        path = ("sources", name)
        if not _SOURCE.match(name):
            yield Problem(path, name, "a source's name is letters, digits, _ and -, at most 63")
        if not _TOPIC.match(source.topic) or source.topic in {".", ".."}:
            yield Problem((*path, "topic"), source.topic, "a Kafka topic's name is letters, digits and . _ -, at most 249")
        if source.topic in taken:
            yield Problem((*path, "topic"), source.topic, f"is the topic of {taken[source.topic]} too; each source needs its own")
        taken[source.topic] = f"source {name!r}"
        if source.adapter not in BUILT_IN_ADAPTERS and not _FUNCTION.match(source.adapter):
            allowed = f"must be one of {', '.join(BUILT_IN_ADAPTERS)}, or package.module:function"
            yield Problem((*path, "adapter"), source.adapter, allowed + suggestion(source.adapter, BUILT_IN_ADAPTERS))
        yield from _mapping(path, source, list(settings.entities))


def _mapping(path: tuple[str | int, ...], source: SourceSettings, entities: list[str]) -> Iterator[Problem]:
    for field in source.event:
        if field not in EVENT_FIELDS:
            yield Problem((*path, "event", field), field, f"must be one of {', '.join(EVENT_FIELDS)}{suggestion(field, EVENT_FIELDS)}")
    yield from expression_problems((*path, "event"), {field: source.event[field] for field in EVENT_FIELDS if field in source.event})
    for index, participant in enumerate(source.participants):
        here = (*path, "participants", index)
        if participant.entity not in entities:
            allowed = f"must be a declared entity type: {', '.join(entities)}{suggestion(participant.entity, entities)}"
            yield Problem((*here, "entity"), participant.entity, allowed)
        for key in ("identifiers", "traits", "states"):
            yield from expression_problems((*here, key), getattr(participant, key))
    for index, membership in enumerate(source.memberships):
        here = (*path, "memberships", index)
        for key in ("member", "group"):
            if getattr(membership, key) >= len(source.participants):
                allowed = f"must index participants, of which there are {len(source.participants)} (the first is 0)"
                yield Problem((*here, key), getattr(membership, key), allowed)
        if membership.member == membership.group:
            yield Problem((*here, "group"), membership.group, "must be another participant than the member")
        yield from expression_problems(here, {key: value for key in ("role", "ended") if (value := getattr(membership, key)) is not None})


def _times_and_worker(settings: Settings) -> Iterator[Problem]:
    if not _RFC_3339.match(settings.times.earliest):
        yield Problem(("times", "earliest"), settings.times.earliest, "must be an RFC 3339 time such as 1970-01-01T00:00:00Z")
    stages = settings.worker.stages
    if len(set(stages)) != len(stages):
        yield Problem(("worker", "stages"), stages, "must name each stage once")
    if settings.worker.session_timeout_ms >= settings.kafka.request_timeout_ms:
        allowed = f"must be below kafka.request_timeout_ms ({settings.kafka.request_timeout_ms})"
        yield Problem(("worker", "session_timeout_ms"), settings.worker.session_timeout_ms, allowed)
