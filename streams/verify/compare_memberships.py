"""Comparing memberships in Redis: the sightings of each pair of participants, the lists they are in, the folds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from streams.verify.expected import Belonging, Role
from streams.verify.guards import strongest
from streams.verify.packed import Fact, Fold, ListHeads, Pair, PairName
from streams.verify.report import Difference
from streams.verify.sides import Sides, differing

NOTHING: PairName = (0, 0)
_HOLDS = 512
NOWHERE = ListHeads(NOTHING, NOTHING)


def compare_stored_memberships(sides: Sides) -> Iterator[Difference]:
    """Compare evidence, lists and folds."""
    yield from _pairs(sides)
    yield from _lists(sides)
    if not sides.dump.sweeps:
        yield from _folds(sides)


def _pairs(sides: Sides) -> Iterator[Difference]:
    expected, dump, known = sides.expected, sides.dump, set()
    names = expected.identifiers
    for pair, wanted in expected.belongings.items():
        centres = [strongest(names, one, expected.off) for one in pair]
        name = " in ".join(names[one[0]].key for one in pair)
        place = tuple(sides.link_of(one) for one in pair)
        found = dump.pairs.get(place)  # type: ignore[arg-type] # a missing link finds nothing
        if found is None:
            yield Difference("redis.belonging.missing", name, "the log has it, Redis has not")
            continue
        known.add(place)
        yield from _sightings("redis.belonging", name, wanted, found)
        if not dump.sweeps:
            told = tuple(names[expected.seen[one].founder].digest for one in centres) if min(centres) >= 0 else (b"", b"")
            if found.told != told:
                yield Difference("redis.belonging.told", name, "it was told under other entities than it joins now")
    for place in sorted(dump.pairs.keys() - known):
        found = dump.pairs[place]
        if found.latest is None and any(dump.links[link].dead for link in place if link in dump.links):
            continue
        yield Difference("redis.belonging.ghost", " in ".join(f"link {link}" for link in place), "Redis has it, the log has not")


def _lists(sides: Sides) -> Iterator[Difference]:
    """Follow each link's lists of memberships, as a member and as a group."""
    dump = sides.dump
    groups: dict[int, set[PairName]] = {}
    members: dict[int, set[PairName]] = {}
    for name in dump.pairs:
        groups.setdefault(name[0], set()).add(name)
        members.setdefault(name[1], set()).add(name)
    for link in sorted(groups.keys() | members.keys() | dump.heads.keys()):
        heads = dump.heads.get(link, NOWHERE)
        ways = {
            "groups": (groups.get(link, set()), _follow(sides, heads.groups)),
            "members": (members.get(link, set()), _follow(sides, heads.members, back=True)),
        }
        for way, (wanted, found) in ways.items():
            if found != wanted:
                passed = "goes wrong" if found is None else f"passes {len(found)}"
                yield Difference("redis.belonging.list", f"link {link}", f"it has {len(wanted)} {way}, its list of them {passed}")
        for node, _ in dump.links[link].members if link in dump.links else ():
            if not dump.nodes[node].flags & _HOLDS:
                yield Difference("redis.belonging.flag", sides.name(node), f"link {link} of it has memberships, but it is not marked")


def _follow(sides: Sides, at: PairName, *, back: bool = False) -> set[PairName] | None:
    """Go through a list of memberships; None when it goes nowhere or in a circle."""
    passed: set[PairName] = set()
    while at != NOTHING:
        pair = sides.dump.pairs.get(at)
        if pair is None or at in passed:
            return None
        passed.add(at)
        at = pair.next_member if back else pair.next_group
    return passed


def _folds(sides: Sides) -> Iterator[Difference]:
    dump, names, ids, known = sides.dump, sides.expected.identifiers, sides.expected.ids, set()
    told = Counter(pair.told for pair in dump.pairs.values())
    for (member, group), wanted in sides.expected.memberships.items():
        name, place = f"{ids[member]} in {ids[group]}", (names[member].digest, names[group].digest)
        found = dump.folds.get(place)
        if found is None:
            yield Difference("redis.membership.missing", name, "the log has it, Redis has not")
            continue
        known.add(place)
        yield from _sightings("redis.membership", name, wanted, found)
        yield from differing("redis.membership.pairs", name, told[place], found.pairs)
    if "carries" in dump.meta:
        yield from _near(sides)
    for place in sorted(dump.folds.keys() - known):
        who = [sides.name(dump.node_of.get(digest, 0)) for digest in place]
        yield Difference("redis.membership.ghost", " in ".join(who), "Redis has it, the log has not")


def _near(sides: Sides) -> Iterator[Difference]:
    """Compare whom memberships connect with the folds."""
    dump = sides.dump
    wanted = {near for member, group in dump.folds for near in (("b", member, group), ("B", group, member))}
    for kind, one, other in sorted(wanted ^ dump.near):
        who = " and ".join(sides.name(dump.node_of.get(digest, 0)) for digest in (one, other))
        said = "a membership connects them" if (kind, one, other) in wanted else "no membership connects them"
        yield Difference(f"redis.near.{kind}", who, said)


def _sightings(kind: str, name: str, wanted: Belonging, found: Pair | Fold) -> Iterator[Difference]:
    yield from differing(kind, name, wanted.latest, _role(found.latest))
    yield from differing(f"{kind}.ended", name, wanted.ended, found.ended)
    yield from differing(f"{kind}.active", name, wanted.active, _role(found.active))
    yield from differing(f"{kind}.begun", name, wanted.begun, _role(found.begun))


def _role(fact: Fact | None) -> Role | None:
    return None if fact is None else (fact[0], fact[1].decode("utf-8", "surrogatepass"))
