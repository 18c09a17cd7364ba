"""What Kafka says of itself and of the topics, and what its user may do.

Invariant: nothing is changed, and one thing that fails hides no other. Neighbours: `checkup` and `diagnosis` ask here;
`kafka_questions` asks what the clients do not; `preflight` is what a worker itself does about topics.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress

from aiokafka import errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from resolvers.errors import NexusError
from streams import kafka
from streams.finding import Finding
from streams.kafka_questions import DESCRIBE_CONFIGS, READ, WRITE, Questions, Told
from streams.kafka_versions import NEEDED, TRIED, Calls, least_version
from streams.settings import SPACE_TOPICS, Settings
from streams.topics import Change, CreateTopic, Topic, look, plan, refused_creations, topic_names

HOW_TO = "docs/how-to/secure.md has all rights that are needed"

GROUPS = ("adapt", "resolve", "commands", "publish", "rounds", "worker")
"""The consumer groups of a worker, by stage."""

_NAMES = {READ: "Read", WRITE: "Write", DESCRIBE_CONFIGS: "DescribeConfigs"}
_FAILED = (KafkaError, NexusError, OSError, TimeoutError, NotImplementedError)
"""NotImplementedError: aiokafka raises it, for want of a class of its own, where it and Kafka have no version of a question in common."""

Missing = tuple[str, str, str]
"""What a user lacks: the right, the kind of thing that it is on, and its name."""

_HISTORY = {
    "events": {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"},
    "commands": {"cleanup.policy": "compact"},
}
"""What is replayed when Redis forgets, and the settings without which Kafka would forget too."""


async def examine_kafka(settings: Settings) -> list[Finding]:
    """Ask Kafka whether it answers, how its topics are, and what its user may do with them."""
    once = settings.kafka.model_copy(update={"connect_seconds": 0.0})
    try:
        questions = await kafka.started(Questions(kafka.asker(settings, what="check")), once, "check")
    except NexusError as error:
        return [Finding("error", "kafka", str(error))]
    try:
        return [*await _itself(settings, questions), *await _topics_and_rights(settings, questions)]
    finally:
        await kafka.stop(questions)


async def _itself(settings: Settings, questions: Questions) -> list[Finding]:
    brokers = await questions.brokers()
    text = f"{settings.kafka.bootstrap_servers} answers, {brokers} broker{'' if brokers == 1 else 's'}"
    found = [Finding("ok", "kafka", text)]
    with suppress(*_FAILED):
        found.append(_version(await questions.versions()))
    return found


def _version(calls: Calls) -> Finding:
    version = least_version(calls)
    said = ".".join(map(str, version)) if version else None
    if version is None or version < NEEDED:
        text = f"is {f'about {said}' if said else 'old'}: topics need settings that came with {NEEDED[0]}.{NEEDED[1]}; tests run on {TRIED}"
        return Finding("warning", "kafka version", text)
    return Finding("ok", "kafka version", f"{said} or newer, by the calls that it knows; tests run on {TRIED}")


async def _topics_and_rights(settings: Settings, questions: Questions) -> list[Finding]:
    unasked: list[str] = []
    try:
        seen = await questions.topics(topic_names(settings))
    except _FAILED as error:
        seen = {}
        unasked.append(f"topics ({error or type(error).__name__})")
    lacking = [
        *_on_topics(settings, seen),
        *await _on_groups(settings, questions, unasked),
        *await _on_transactions(settings, questions, unasked),
    ]
    return [*await _topics(settings, seen), *_lacking(lacking, unasked)]


def _lacking(missing: Iterable[Missing], unasked: Collection[str]) -> Iterator[Finding]:
    by_right: dict[tuple[str, str], list[str]] = {}
    for right, kind, name in missing:
        by_right.setdefault((right, kind), []).append(name)
    if by_right:
        said = "; ".join(f"{right} on {kind}{'s' * (len(names) > 1)} {', '.join(names)}" for (right, kind), names in by_right.items())
        yield Finding("error", "kafka rights", f"a worker is not allowed {said}; {HOW_TO}")
    elif not unasked:
        yield Finding("ok", "kafka rights", "nothing that a worker needs is refused")
    if unasked:
        yield Finding("warning", "kafka rights", f"Kafka did not say what may be done with {', '.join(unasked)}")


def needed_operations(settings: Settings) -> dict[str, tuple[int, ...]]:
    """Give the operations that a worker needs on each topic, besides Describe."""
    raw = {source.topic: (READ, DESCRIBE_CONFIGS) for source in settings.sources.values()}
    own = {settings.topic(name): (READ, WRITE, DESCRIBE_CONFIGS) for name in ("events", "dead-letters", *SPACE_TOPICS)}
    return {**raw, settings.topic("commands"): (READ, DESCRIBE_CONFIGS), **own, settings.topic("participants"): (WRITE, DESCRIBE_CONFIGS)}


def _on_topics(settings: Settings, seen: Mapping[str, Told]) -> Iterator[Missing]:
    for name, operations in needed_operations(settings).items():
        told = seen.get(name, Told(0))
        if told.code == errors.TopicAuthorizationFailedError.errno:
            yield "Describe", "topic", name  # whether it is there is not told
        elif not told.code and (missing := [_NAMES[one] for one in operations if not told.allows(one)]):
            yield " and ".join(missing), "topic", name


async def _on_groups(settings: Settings, questions: Questions, unasked: list[str]) -> list[Missing]:
    found: list[Missing] = []
    for stage in GROUPS if settings.sources else GROUPS[1:]:
        name = kafka.group_id(settings, stage)
        try:
            told = await questions.group(name)
        except _FAILED as error:
            unasked.append(f"group {name} ({error or type(error).__name__})")
            continue
        if told.code == errors.GroupAuthorizationFailedError.errno:
            found.append(("Describe and Read", "group", name))
        elif told.code:
            unasked.append(f"group {name} ({errors.for_code(told.code).__name__})")
        elif not told.allows(READ):
            found.append(("Read", "group", name))
    return found


async def _on_transactions(settings: Settings, questions: Questions, unasked: list[str]) -> list[Missing]:
    name = kafka.transactional_id(settings, "publish", 0)
    denied = errors.TransactionalIdAuthorizationFailed.errno
    try:
        asked = dict(zip(("Describe", "Write"), await questions.transactional(name), strict=True))
    except _FAILED as error:
        unasked.append(f"transactional id {name} ({error or type(error).__name__})")
        return []
    if code := next((told.code for told in asked.values() if told.code not in {0, denied}), 0):
        unasked.append(f"transactional id {name} ({errors.for_code(code).__name__})")
    missing = [right for right, told in asked.items() if told.code == denied]
    return [(" and ".join(missing), "transactional id", name)] if missing else []


async def _topics(settings: Settings, seen: Mapping[str, Told]) -> list[Finding]:
    """Compare those topics that may be looked at with what the settings want."""
    hidden = {name for name, told in seen.items() if not told.allows(DESCRIBE_CONFIGS)}
    hidden |= {name for name, told in seen.items() if told.code == errors.TopicAuthorizationFailedError.errno}
    once = settings.kafka.model_copy(update={"connect_seconds": 0.0})
    try:
        client = await kafka.started(kafka.admin(settings), once, "check")
    except NexusError as error:
        return [Finding("error", "topics", str(error))]
    try:
        existing = await look(client, [name for name in topic_names(settings) if name not in hidden])
        changes = [change for change in plan(settings, existing) if change.name not in hidden]
        found = [*_forgetting(settings, existing), *await _changed(client, changes)]
    except _FAILED as error:
        return [Finding("error", "topics", str(error))]
    finally:
        await kafka.stop(client)
    looked = len(set(topic_names(settings)) - hidden)
    if not looked:
        return [Finding("warning", "topics", "none may be looked at")]
    return found or [Finding("ok", "topics", f"all {looked} {'that may be seen ' if hidden else ''}are as they should be")]


def _forgetting(settings: Settings, existing: Mapping[str, Topic]) -> Iterator[Finding]:
    """Find logs that Kafka would shorten: what is lost there can't be replayed, whatever the settings say."""
    for word, wanted in _HISTORY.items():
        name = settings.topic(word)
        topic = existing.get(name)
        wrong = {key: topic.config.get(key) for key, value in wanted.items() if topic.config.get(key) != value} if topic else {}
        if wrong:
            said = ", ".join(f"{key} {value} in place of {wanted[key]}" for key, value in wrong.items())
            text = f"{name} has {said}: it forgets what Redis would be filled from again, and a worker that needs it stops"
            yield Finding("error", "topics", f"{text}; `nexus topics apply` mends it, unless topics.config says so")


async def _changed(client: AIOKafkaAdminClient, changes: list[Change]) -> list[Finding]:
    missing = [change for change in changes if isinstance(change, CreateTopic)]
    drifted = [change.name for change in changes if not isinstance(change, CreateTopic)]
    refused = await refused_creations(client, missing)
    found = []
    if refused:
        text = f"missing: {', '.join(sorted(refused))}; a worker can't make them, as an administrator can by `nexus topics apply`"
        found.append(Finding("error", "topics", f"{text}: {refused[min(refused)]}"))
    if made := [change.name for change in missing if change.name not in refused]:
        found.append(Finding("warning", "topics", f"missing: {', '.join(made)}; the first worker makes them, or `nexus topics apply`"))
    if drifted:
        text = f"with other settings: {', '.join(drifted)}; `nexus topics plan` shows, `nexus topics apply` does"
        found.append(Finding("warning", "topics", text))
    return found
