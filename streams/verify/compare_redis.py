"""Comparing Redis with the recomputation: every record there is as the event log says, and agrees with the others.

Pure functions from (expected, dump) to differences. Neighbours: `compare_parts` and `compare_memberships` look at what
is joined; this module at single identifiers and links, and at the frame around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.settings import Settings
from streams.verify.compare_memberships import compare_stored_memberships
from streams.verify.compare_parts import compare_parts
from streams.verify.dump import Dump
from streams.verify.expected import Expected, Link
from streams.verify.instants import HOUR, YEAR_ONE, written
from streams.verify.packed import LinkRecord, Node
from streams.verify.report import Difference
from streams.verify.sides import Sides, differing, shortened
from streams.verify.usable import Usable

FORMAT = "6"


def compare_redis(expected: Expected, dump: Dump) -> list[Difference]:
    """Compare the whole graph. Empty when Redis is right."""
    sides = Sides(expected, dump)
    return [
        *_misplaced(dump),
        *_identifiers(sides),
        *_links(sides),
        *_together(sides),
        *_corrections(sides),
        *compare_parts(sides),
        *compare_stored_memberships(sides),
        *_outbox(dump),
    ]


def compare_frame(dump: Dump, settings: Settings, applied: Mapping[int, tuple[int, int]], log: str = "events") -> Iterator[Difference]:
    """Compare what a space was made with, and its positions.

    `applied` gives, for each partition of a log, the offset after its last record and the end of the partition:
    the position lies between, since what follows the last record are only marks of transactions.
    """
    made = {
        "format": FORMAT,
        "buckets": str(settings.redis.buckets),
        "shards": str(settings.partitions),
        "identity_key": Usable(settings).digest("", "", "").hex(),
    }
    for name, wanted in made.items():
        if dump.meta.get(name) != wanted:
            yield Difference("redis.space", name, f"the settings make it {wanted}, Redis has {dump.meta.get(name)}")
    for partition, (after_last, end) in sorted(applied.items()):
        stored = dump.positions.get(f"{log}/{partition}", 0)
        if not after_last <= stored <= end:
            where = f"between {after_last} and {end}" if after_last < end else f"at {end}"
            yield Difference("redis.position", f"{log}/{partition}", f"the log ends {where}, Redis is at {stored}")


def _misplaced(dump: Dump) -> Iterator[Difference]:
    for what in dump.misplaced:
        yield Difference("redis.misplaced", what, "nothing looks for it there")
    for code, name in dump.names.items():
        if dump.codes.get(name) != code:
            yield Difference("redis.code", name, f"code {code} means this type, but its code is {dump.codes.get(name)}")


def _identifiers(sides: Sides) -> Iterator[Difference]:
    expected, dump = sides.expected, sides.dump
    for number, name in enumerate(expected.identifiers):
        node = sides.node_of[number]
        if node is None:
            yield Difference("redis.identifier.missing", name.key, "the log has it, Redis has not")
        elif node not in dump.nodes:
            yield Difference("redis.identifier.missing", name.key, f"its digest leads to node {node}, which is not there")
        else:
            yield from _identifier(sides, number, node, dump.nodes[node])
    for digest, node in dump.node_of.items():
        if digest not in expected.by_digest and digest in expected.erased.former:
            yield from _husk(sides, digest, node)
        elif digest not in expected.by_digest:
            yield Difference("redis.identifier.ghost", sides.name(node), "Redis has it, the log has not")
    unnamed = dump.nodes.keys() - set(dump.node_of.values())
    yield from (Difference("redis.identifier.ghost", sides.name(node), f"no digest leads to node {node}") for node in sorted(unnamed))
    last = int(dump.meta.get("nodes", 0))
    if max(dump.nodes, default=0) > last:
        yield Difference("redis.space", "nodes", f"node {max(dump.nodes)} is there, but only {last} were numbered")


def _identifier(sides: Sides, number: int, node: int, record: Node) -> Iterator[Difference]:
    expected, dump = sides.expected, sides.dump
    name, seen = expected.identifiers[number], expected.seen[number]
    yield from differing("redis.identifier.digest", name.key, name.digest.hex(), record.digest.hex())
    yield from differing("redis.identifier.type", name.key, f"{name.entity_type}:{name.type}", dump.names.get(record.code))
    yield from differing("redis.identifier.connects", name.key, (seen.founder < 0,) * 2, (record.off, record.detached))
    yield from differing("redis.identifier.value", name.key, name.value, dump.values.get(node))
    yield from differing("redis.first_seen", name.key, seen.first[0], record.first, written)
    yield from differing("redis.last_seen", name.key, seen.last, record.last, lambda hours: written(hours * HOUR))
    link = dump.links.get(record.first_link)
    told = None if link is None else (link.first, link.source, link.event_id)
    yield from differing("redis.first_event", name.key, seen.first, told)
    chain = sides.chain(node)
    if chain is None or sorted(chain) != sorted(sides.links_of.get(node, ())):
        found = "does not end" if chain is None else f"has {len(chain)}"
        yield Difference("redis.links_of", name.key, f"it is in {len(sides.links_of.get(node, ()))} links, its list of them {found}")


def _husk(sides: Sides, digest: bytes, node: int) -> Iterator[Difference]:
    """Check that nothing is left of an erased identifier but its digest."""
    record = sides.dump.nodes.get(node)
    kept = [] if record is None else [record.first + YEAR_ONE, record.last + YEAR_ONE // HOUR, record.first_link, record.head]
    left = node in sides.dump.values or node in sides.dump.together
    if record is None or record.digest != digest or not (record.erased and record.detached) or any(kept) or left:
        yield Difference("redis.erased", digest.hex(), f"it was erased; node {node} should keep nothing but its digest")


def _links(sides: Sides) -> Iterator[Difference]:
    expected, dump = sides.expected, sides.dump
    known: set[int] = set()
    for identifiers, link in expected.links.items():
        number = sides.link_of(identifiers)
        record = dump.links.get(number or 0)
        if number is None or record is None:
            yield Difference("redis.link.missing", _link_name(sides, identifiers), "the log has it, Redis has not")
            continue
        known.add(number)
        yield from _link(sides, identifiers, link, record)
        yield from differing("redis.link.states", _link_name(sides, identifiers), link.states or set(), dump.states.get(number, set()))
        for node in (node for node, _ in record.members if link.states and number not in dump.showing.get(node, ())):
            yield Difference("redis.link.showing", sides.name(node), f"it does not know that link {number} has observations of states")
    for number in sorted((dump.links.keys() | set(dump.link_of.values())) - known):
        record = dump.links.get(number)
        if record is not None and record.dead and not (record.source or record.event_id or record.traits or number in dump.states):
            continue
        names = " + ".join(sides.name(node) for node, _ in record.members[:4]) if record else f"link {number}"
        yield Difference("redis.link.ghost", names, "Redis has it, the log has not")


def _link(sides: Sides, identifiers: tuple[int, ...], link: Link, record: LinkRecord) -> Iterator[Difference]:
    name = _link_name(sides, identifiers)
    nodes = [sides.node_of[one] for one in identifiers]
    members = [node for node, _ in record.members]
    if nodes[0] != members[0]:
        yield Difference("redis.link.centre", name, f"its strongest identifier comes first here, in Redis {sides.name(members[0])} does")
    if len(members) != len(nodes) or set(members) != set(nodes):
        yield Difference("redis.link.members", name, f"it has {len(nodes)} members, in Redis {len(members)} or others")
    yield from differing("redis.link.first", name, link.first, (record.first, record.source, record.event_id))
    yield from differing("redis.link.last", name, link.last, record.last, lambda hours: written(hours * HOUR))
    yield from differing("redis.link.traits", name, link.traits or {}, record.traits)


def _link_name(sides: Sides, identifiers: tuple[int, ...]) -> str:
    shown = " + ".join(sides.expected.identifiers[one].key for one in identifiers[:4])
    return shown if len(identifiers) <= 4 else f"{shown} + {len(identifiers) - 4} more"


def _together(sides: Sides) -> Iterator[Difference]:
    """Compare what hubs are judged by: for each type with a hub rule, the values of the counted type it was seen with."""
    names, hubs = sides.expected.identifiers, sides.expected.usable.hubs
    wanted: dict[int, set[int]] = {}
    for identifiers in sides.expected.links:
        for hub in identifiers if len(identifiers) > 1 else ():
            counted = {one for one in identifiers if one != hub and (names[hub].entity_type, names[hub].type, names[one].type) in hubs}
            if counted:
                wanted.setdefault(hub, set()).update(counted)
    nodes = {sides.node_of[hub]: {sides.node_of[one] for one in counted} for hub, counted in wanted.items()}
    for node in sorted({one for one in nodes if one is not None} | sides.dump.together.keys()):
        here, there = nodes.get(node, set()), sides.dump.together.get(node, set())
        if here != there:
            lost = shortened(sorted(sides.name(one) for one in here - there if one is not None)) or "none missing"
            more = shortened(sorted(sides.name(one) for one in there - here)) or "none too many"
            text = f"seen with {len(here)}, Redis has {len(there)}: missing {lost}; more {more}"
            yield Difference("redis.seen_with", sides.name(node), text)


def _corrections(sides: Sides) -> Iterator[Difference]:
    """Compare what operators have said, and what follows for each identifier that they named."""
    said, dump = sides.expected.commanded, sides.dump
    forbidden = {digest: set(others) for digest, others in said.pairs("f").items()}
    sets = (
        ("redis.correction", said.records, dump.corrections),
        ("redis.correction.flags", said.flags, dump.said),
        ("redis.correction.forbidden", forbidden, dump.forbidden),
        ("redis.correction.linked", said.pairs("l"), dump.linked),
    )
    for kind, wanted, found in sets:
        for name in sorted(wanted.keys() | found.keys()):
            yield from differing(kind, name.hex(), wanted.get(name), found.get(name))
    wanted_erased = {digest: (cutoff, said.known_as(digest)) for digest, cutoff in said.cutoffs.items()}
    for digest in sorted(wanted_erased.keys() | dump.erased.keys()):
        yield from differing("redis.erasure", digest.hex(), wanted_erased.get(digest), dump.erased.get(digest))
    for digest, node in dump.node_of.items():
        flags = dump.nodes[node].flags & 41 if node in dump.nodes else 0
        yield from differing("redis.identifier.flags", sides.name(node), said.flags.get(digest, 0), flags)


def _outbox(dump: Dump) -> Iterator[Difference]:
    for kind, count in sorted(dump.outbox.items()):
        if count:
            yield Difference("redis.outbox", kind, f"{count} left, though nothing is to be told any more")
