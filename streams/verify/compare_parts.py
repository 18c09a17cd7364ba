"""Comparing the entities in Redis: who is joined with whom, under which founder, with what kept beside it.

The union-find, the circles over each entity's identifiers and the record of each entity say the same thing in three
ways; each is checked against the recomputation and so against the others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.verify.expected import LISTED, Entity
from streams.verify.instants import HOUR, written
from streams.verify.packed import Part
from streams.verify.report import Difference
from streams.verify.sides import Sides, differing, shortened


def compare_parts(sides: Sides) -> Iterator[Difference]:
    """Compare all entities."""
    roots, loose = _roots(sides)
    alone = {node for node, record in sides.dump.nodes.items() if record.detached}
    yield from _alone(sides, alone, roots)
    for node, problem in loose:
        yield Difference("redis.parent", sides.name(node), problem)
    roots = {node: root for node, root in roots.items() if node not in alone}
    members: dict[int, list[int]] = {}
    for node, root in roots.items():
        members.setdefault(root, []).append(node)
    yield from _cases(sides, roots)
    yield from _joined(sides, roots, members)
    for root, nodes in members.items():
        yield from _circle(sides, root, nodes)
        part = sides.dump.parts.get(root)
        if part is None:
            yield Difference("redis.part.missing", sides.name(root), "it is the root of an entity that has no record")
            continue
        founders = {sides.expected.seen[sides.number_of[node]].founder for node in nodes if node in sides.number_of}
        yield from _sums(sides, root, nodes, part)
        if len(founders) == 1 and founders != {-1}:
            yield from _part(sides, root, part, sides.expected.entities[founders.pop()])
    for root in sorted((sides.dump.parts.keys() | sides.dump.traits.keys()) - members.keys()):
        yield Difference("redis.part.ghost", sides.name(root), "an entity's record or traits lie at a node that is no root")


def _alone(sides: Sides, nodes: set[int], roots: dict[int, int]) -> Iterator[Difference]:
    """Check that what connects nothing is of no part."""
    for node in sorted(nodes):
        record = sides.dump.nodes[node]
        if (record.parent, record.next) != (node, node):
            yield Difference("redis.detached", sides.name(node), "it connects nothing, but is not alone")
    for node, root in roots.items():
        if root != node and sides.dump.nodes[root].detached:
            yield Difference("redis.detached", sides.name(root), f"it connects nothing, but {sides.name(node)} has it for a root")


def _cases(sides: Sides, roots: dict[int, int]) -> Iterator[Difference]:
    """Check that parts which a link joins, but a guard keeps apart, are in one case, and that cases know their parts."""
    dump = sides.dump
    listed = {root: case for case, inside in dump.cases.items() for root in inside}
    for root in sorted(dump.parts.keys() | listed.keys()):
        part = dump.parts.get(root)
        if (part.case if part else 0) != listed.get(root, 0):
            yield Difference(
                "redis.case", sides.name(root), f"it is in case {part.case if part else 0}, and listed in {listed.get(root, 0)}"
            )
        if part and part.flags & 151:
            yield Difference("redis.part.unsettled", sides.name(root), f"it has flags {part.flags}, though no case is due")
    for link in dump.links.values():
        if link.dead:
            continue
        parts = {roots[node] for node, _ in link.members if node in roots}
        cases = {dump.case(dump.parts[root].case) for root in parts if root in dump.parts}
        if len(parts) > 1 and (len(cases) > 1 or 0 in cases):
            name = " + ".join(sides.name(node) for node, _ in link.members[:3])
            yield Difference("redis.case", name, f"the {len(parts)} parts that it joins are in cases {sorted(cases)}")


def _roots(sides: Sides) -> tuple[dict[int, int], list[tuple[int, str]]]:
    """Follow every node's parents to its root; gives also the nodes from which that is not possible."""
    nodes = sides.dump.nodes
    roots = {node: node for node, record in nodes.items() if record.parent == node}
    loose: list[tuple[int, str]] = []
    for start in nodes:
        path: dict[int, None] = {}  # in order, and quick to look in
        node = start
        while node not in roots and node in nodes and node not in path:
            path[node] = None
            node = nodes[node].parent
        if node in roots:
            roots |= dict.fromkeys(path, roots[node])
        else:
            loose.append((start, "its parents go in a circle" if node in path else f"its parents lead to node {node}, which is not there"))
    return roots, loose


def _joined(sides: Sides, roots: dict[int, int], members: dict[int, list[int]]) -> Iterator[Difference]:
    """Compare who is joined with whom."""
    expected = sides.expected
    for founder, entity in expected.entities.items():
        apart: dict[int, list[int]] = {}
        for number in entity.members:
            node = sides.node_of[number]
            if node in roots:
                apart.setdefault(roots[node], []).append(number)
        for numbers in sorted(apart.values(), key=len)[:-1]:
            names = shortened([expected.identifiers[number].key for number in numbers])
            yield Difference("redis.entity.apart", expected.ids[founder], f"{names} should belong to it, but lies apart in Redis")
    for nodes in members.values():
        mixed: dict[int, list[str]] = {}
        for node in nodes:
            if node in sides.number_of:
                mixed.setdefault(expected.seen[sides.number_of[node]].founder, []).append(sides.name(node))
        for founder in sorted(mixed, key=lambda one: len(mixed[one]))[:-1]:
            text = f"{shortened(mixed[founder])} should belong to it, but is joined with others in Redis"
            yield Difference("redis.entity.mixed", expected.ids.get(founder, "nobody"), text)


def _circle(sides: Sides, root: int, nodes: list[int]) -> Iterator[Difference]:
    """Go round the circle of an entity's identifiers: each must be passed once."""
    passed = [root]
    node = sides.dump.nodes[root].next
    while node != root and node in sides.dump.nodes and len(passed) <= len(nodes):
        passed.append(node)
        node = sides.dump.nodes[node].next
    if node != root or len(passed) != len(nodes) or set(passed) != set(nodes):
        yield Difference("redis.circle", sides.name(root), f"{len(nodes)} identifiers have this root, its circle passes {len(set(passed))}")


def _sums(sides: Sides, root: int, nodes: list[int], part: Part) -> Iterator[Difference]:
    codes = Counter(sides.dump.nodes[node].code for node in nodes)
    name = sides.name(root)
    yield from differing("redis.part.count", name, len(nodes), part.size)
    yield from differing("redis.part.counts", name, dict(sorted(codes.items())), dict(sorted(part.counts.items())))


def _part(sides: Sides, root: int, part: Part, entity: Entity) -> Iterator[Difference]:
    """Compare the record of an entity whose identifiers are right."""
    expected = sides.expected
    entity_id, founder = expected.ids[entity.members[0]], sides.node_of[entity.members[0]]
    if part.founder != founder:
        text = f"expected {expected.identifiers[entity.members[0]].key}, found {sides.name(part.founder)}"
        yield Difference("redis.founder", entity_id, text)
    yield from differing("redis.entity.first_seen", entity_id, entity.first, part.first, written)
    yield from differing("redis.entity.last_seen", entity_id, entity.last, part.last, lambda hours: written(hours * HOUR))
    yield from _listed(sides, entity_id, part, entity)
    found = sides.dump.traits.get(root, {})
    for name in sorted(entity.traits.keys() | found.keys()):
        yield from differing("redis.trait", f"{entity_id} {name}", entity.traits.get(name), found.get(name))


def _listed(sides: Sides, entity_id: str, part: Part, entity: Entity) -> Iterator[Difference]:
    """Compare the list that documents are made of: the oldest identifiers in any order, and at most as many others again."""
    listed = set(part.listed)
    oldest = [node for node in (sides.node_of[number] for number in entity.members[:LISTED]) if node is not None]
    lost = [sides.name(node) for node in oldest if node not in listed]
    if lost:
        yield Difference("redis.part.listed", entity_id, f"{shortened(lost)} should be listed among the oldest")
    own = {sides.node_of[number] for number in entity.members}
    more = [sides.name(node) for node in part.listed if node not in own]
    if more or len(part.listed) > 2 * LISTED or len(part.listed) != len(set(part.listed)):
        text = f"{len(part.listed)} identifiers are listed, {len(set(part.listed))} different; not its own: {shortened(more) or 'none'}"
        yield Difference("redis.part.listed", entity_id, text)
