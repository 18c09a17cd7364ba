"""What Redis and the topics hold when everything is right, made from the recomputation, to be spoilt one thing at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import orjson

from streams.verify.compacted import TopicRecord
from streams.verify.dump import Dump
from streams.verify.expected import Belonging, Expected, Role
from streams.verify.instants import written
from streams.verify.packed import Fact, Fold, LinkRecord, ListHeads, Node, Pair, Part
from streams.verify.usable import founding_digest, link_digest

SHARDS = 2
NOBODY = b"\0" * 16
NOWHERE = ListHeads((0, 0), (0, 0))


def right_dump(expected: Expected) -> Dump:
    """Write a dump in which identifiers and links are numbered as they come, and every founder is the root of its entity."""
    dump = Dump(meta={"nodes": str(len(expected.identifiers)), "buckets": "16"})
    types = sorted({f"{one.entity_type}:{one.type}" for one in expected.identifiers})
    dump.codes = {name: code for code, name in enumerate(types, start=1)}
    dump.names = {code: name for name, code in dump.codes.items()}
    heads = _put_links(expected, dump)
    for founder, entity in expected.entities.items():
        following = [*entity.members[1:], entity.members[0]]
        for number, after in zip(entity.members, following, strict=True):
            name, seen = expected.identifiers[number], expected.seen[number]
            first_link = next(one for one, link in dump.links.items() if (link.first, link.source, link.event_id) == seen.first)
            code = dump.codes[f"{name.entity_type}:{name.type}"]
            node = Node(founder + 1, after + 1, seen.first[0], seen.last, first_link, heads[number], seen.founder + 1, code, name.digest)
            dump.nodes[number + 1], dump.values[number + 1], dump.node_of[name.digest] = node, name.value, number + 1
        counts = Counter(dump.nodes[number + 1].code for number in entity.members)
        listed = [number + 1 for number in entity.members]
        dump.parts[founder + 1] = Part(founder + 1, entity.first, entity.last, len(listed), dict(counts), listed)
        dump.traits[founder + 1] = dict(entity.traits)
    _put_memberships(expected, dump)
    return dump


def _put_links(expected: Expected, dump: Dump) -> dict[int, int]:
    heads: dict[int, int] = {}
    for number, (identifiers, link) in enumerate(expected.links.items(), start=1):
        members = [(one + 1, heads.get(one, 0)) for one in identifiers]
        heads |= dict.fromkeys(identifiers, number)
        at, source, event_id = link.first
        dump.links[number] = LinkRecord(at, link.last, members, source, event_id, dict(link.traits or {}))
        dump.link_of[link_digest(expected.identifiers[one] for one in identifiers)] = number
        if link.states:
            dump.states[number] = set(link.states)
            for one in identifiers:
                dump.showing.setdefault(one + 1, set()).add(number)
        for hub in identifiers:
            for one in identifiers:
                names = expected.identifiers[hub], expected.identifiers[one]
                if one != hub and (names[0].entity_type, names[0].type, names[1].type) in expected.usable.hubs:
                    dump.together.setdefault(hub + 1, set()).add(one + 1)
    return heads


def _put_memberships(expected: Expected, dump: Dump) -> None:
    numbered = {identifiers: number for number, identifiers in enumerate(expected.links, start=1)}
    pairs: Counter[tuple[bytes, bytes]] = Counter()
    for (member, group), one in expected.belongings.items():
        name = (numbered[member], numbered[group])
        groups, members = dump.heads.get(name[0], NOWHERE), dump.heads.get(name[1], NOWHERE)
        told = [expected.identifiers[expected.owner(one)].digest for one in (member, group)]
        dump.pairs[name] = Pair(*_sightings(one), groups.groups, members.members, (told[0], told[1]))
        pairs[told[0], told[1]] += 1
        dump.heads[name[0]] = groups._replace(groups=name)
        dump.heads[name[1]] = dump.heads.get(name[1], NOWHERE)._replace(members=name)
        for node in (*member, *group):
            dump.nodes[node + 1] = dump.nodes[node + 1]._replace(flags=512)
    for (person, company), one in expected.memberships.items():
        place = expected.identifiers[person].digest, expected.identifiers[company].digest
        dump.folds[place] = Fold(*_sightings(one), pairs[place])


def _sightings(one: Belonging) -> tuple[Fact, bool, Fact | None, Fact | None]:
    active, begun = (None if role is None else _fact(role) for role in (one.active, one.begun))
    return _fact(one.latest), one.ended, active, begun


def _fact(role: Role) -> Fact:
    return role[0], role[1].encode()


class Written:
    """Topics under construction: writes records with rising offsets."""

    def __init__(self) -> None:
        self.topics: dict[str, list[TopicRecord]] = {}
        self._offsets: Counter[tuple[str, int]] = Counter()

    def put(self, word: str, key: str, document: dict[str, Any] | None, partition: int, version: int = 1) -> None:
        value = None if document is None else orjson.dumps(document | ({} if word == "participants" else {"version": version}))
        self.topics.setdefault(word, []).append(TopicRecord(partition, self._offsets[word, partition], key.encode(), value))
        self._offsets[word, partition] += 1


def right_topics(expected: Expected) -> Written:
    """Tell everything once, with version 1."""
    topics = Written()
    for key, document in expected.entity_documents():
        topics.put("entities", key, document, shard(founding_digest(key) or b""))
        for line, (kind, data) in enumerate(_changes(expected, key, document)):
            told = {"id": f"{key}:1:{line}", "entity_id": key, "entity_type": document["entity_type"], "kind": kind, "data": data}
            topics.put("timeline", key, told, shard(founding_digest(key) or b""))
    for name, (key, document) in zip(expected.identifiers, expected.identifier_documents(), strict=True):
        topics.put("identifiers", key, document, shard(name.digest))
    for key, document in expected.membership_documents():
        topics.put("memberships", key, document, shard(founding_digest(document["person_id"]) or b""))
    for encoded, part in expected.participants.items():
        assert isinstance(part, tuple)
        source, event_id, index = encoded.decode().split(":")
        named = {"source": source, "event_id": event_id, "index": int(index), "role": part[1], "occurred_at": written(part[2])}
        entity = {"entity_type": expected.identifiers[part[0][0]].entity_type, "entity_id": expected.ids[expected.owner(part[0])]}
        topics.put("participants", encoded.decode(), named | entity, 0)
    return topics


def _changes(expected: Expected, key: str, document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "entity.created", {}
    for one in document["identifiers"]:
        yield "identifier.added", {"type": one["type"], "value": one["value"]}
    for name, value in document["traits"].items():
        yield "trait.changed", {"trait": name, "old": None, "new": value}
    for _, one in expected.membership_documents():
        if one["person_id"] == key and one["until"] is None:
            yield "membership.started", {"group_id": one["group_id"], "role": one["role"]}


def shard(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "big") % SHARDS
