"""What is right, doubtful or wrong about the settings and about what they name.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `nexus check` prints the
findings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from redis.asyncio import Redis
from redis.exceptions import RedisError

from resolvers.errors import NexusError, SettingsError
from streams.adapters import build_adapter
from streams.kafka import admin, started
from streams.settings import Settings, SourceSettings
from streams.settings.problem import suggestion
from streams.settings.problems import without_password
from streams.topics import look, plan, topic_names

ANSWER_SECONDS = 5.0

FEW_CHARACTERS = 16
"""An identity key of fewer can be found by trying."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    level: Literal["ok", "warning", "error"]
    what: str
    text: str


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
    """Ask Kafka and Redis, each once; what does not answer is a finding."""
    return [*await _kafka(settings), *await _redis(settings)]


async def _kafka(settings: Settings) -> list[Finding]:
    once = settings.kafka.model_copy(update={"connect_seconds": 0.0})
    try:
        client = await started(admin(settings), once, "check")
    except NexusError as error:
        return [Finding("error", "kafka", str(error))]
    try:
        cluster = await client.describe_cluster()
        brokers = len(cluster["brokers"])
        answers = Finding("ok", "kafka", f"{settings.kafka.bootstrap_servers} answers, {brokers} broker{'' if brokers == 1 else 's'}")
        changes = plan(settings, await look(client, topic_names(settings)))
    except NexusError as error:
        return [Finding("error", "topics", str(error))]
    finally:
        await client.close()
    if changes:
        names = ", ".join(change.name for change in changes)
        return [
            answers,
            Finding("warning", "topics", f"missing or with other settings: {names}; `nexus topics plan` shows, `nexus topics apply` does"),
        ]
    return [answers, Finding("ok", "topics", f"all {len(topic_names(settings))} are as they should be")]


async def _redis(settings: Settings) -> list[Finding]:
    address = without_password(settings.redis.url)
    client = Redis.from_url(settings.redis.url, socket_connect_timeout=ANSWER_SECONDS, socket_timeout=ANSWER_SECONDS)
    try:
        info: dict[str, Any] = await client.info()
    except (RedisError, OSError, TimeoutError) as error:
        text = f"Redis at {address} does not answer: {error}; check redis.url, or start a local one with `nexus up`"
        return [Finding("error", "redis", text)]
    finally:
        await client.aclose()
    name, version = ("Valkey", info["valkey_version"]) if "valkey_version" in info else ("Redis", info.get("redis_version", "?"))
    return [Finding("ok", "redis", f"{address} answers, {name} {version}"), *_vulnerable(name, version), *_redis_settings(info)]


_MENDED = {"Redis": ("6.2.20", "7.2.11", "7.4.6", "8.0.4", "8.2.2"), "Valkey": ("7.2.11", "8.0.6", "8.1.4", "9.0.0")}
"""The first release of each line in which CVE-2025-49844 is mended: until then whoever may run scripts may run anything on the server."""


def _vulnerable(name: str, version: str) -> Iterator[Finding]:
    parts = tuple(int(part) for part in version.split(".")[:3] if part.isdigit())
    mended = [tuple(map(int, one.split("."))) for one in _MENDED[name]]
    line = next((one for one in mended if one[:2] == parts[:2]), None)
    if len(parts) == 3 and (parts < line if line else parts < max(mended)):
        wanted = ".".join(map(str, line or min(one for one in mended if one > parts)))
        text = f"{name} {version} lets whoever may run scripts take over the server (CVE-2025-49844): use {wanted} or newer"
        yield Finding("warning", "redis version", text)


def _redis_settings(info: dict[str, Any]) -> Iterator[Finding]:
    policy = info.get("maxmemory_policy")
    if policy == "noeviction":
        yield Finding("ok", "redis maxmemory-policy", policy)
    else:
        yield Finding(
            "error", "redis maxmemory-policy", f"is {policy}: a full Redis would silently forget who is who; set it to noeviction"
        )
    if not info.get("aof_enabled"):
        yield Finding("warning", "redis appendonly", "is off: after a restart of Redis everything is replayed from the log; set it to yes")
