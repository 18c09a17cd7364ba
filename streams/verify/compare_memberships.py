"""Comparing memberships in Redis: the sightings of each pair of participants, the lists they are in, the folds."""

from __future__ import annotations

from collections.abc import Iterator

from streams.verify.expected import Belonging, Role
from streams.verify.guards import strongest
from streams.verify.packed import Fact, Fold, ListHeads, Pair, PairName
from streams.verify.report import Difference
from streams.verify.sides import Sides, differing

NOTHING: PairName = (0, 0)
NOWHERE = ListHeads(NOTHING, 0, NOTHING, 0)


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
        if [found.member, found.group] != [sides.node_of[one] if one >= 0 else 0 for one in centres]:
            yield Difference("redis.belonging.place", name, "it stands in the lists of other identifiers")
        if not dump.sweeps:
            told = tuple(names[expected.seen[one].founder].digest for one in centres) if min(centres) >= 0 else (b"", b"")
            if found.told != told:
                yield Difference("redis.belonging.told", name, "it was told under other entities than it joins now")
    for place in sorted(dump.pairs.keys() - known):
        found = dump.pairs[place]
        if found.latest is None and any(dump.links[link].dead for link in place if link in dump.links):
            continue
        yield Difference(
            "redis.belonging.ghost", f"{sides.name(found.member)} in {sides.name(found.group)}", "Redis has it, the log has not"
        )


def _lists(sides: Sides) -> Iterator[Difference]:
    """Follow each node's lists of memberships, as a member and as a group; and those of links that belong to nobody."""
    groups: dict[tuple[str, int], set[PairName]] = {}
    members: dict[tuple[str, int], set[PairName]] = {}
    for name, pair in sides.dump.pairs.items():
        if pair.member or pair.latest is not None:
            groups.setdefault(("node", pair.member) if pair.member else ("link", name[0]), set()).add(name)
        if pair.group or pair.latest is not None:
            members.setdefault(("node", pair.group) if pair.group else ("link", name[1]), set()).add(name)
    known = {
        **{("node", node): heads for node, heads in sides.dump.heads.items()},
        **{("link", link): heads for link, heads in sides.dump.orphans.items()},
    }
    for place in sorted(groups.keys() | members.keys() | known.keys()):
        heads = known.get(place, NOWHERE)
        ways = {
            "groups": (groups.get(place, set()), _follow(sides, heads.groups), heads.group_count),
            "members": (members.get(place, set()), _follow(sides, heads.members, back=True), heads.member_count),
        }
        for way, (wanted, found, count) in ways.items():
            if found != wanted or count != len(wanted):
                passed = "goes wrong" if found is None else f"passes {len(found)}"
                text = f"it has {len(wanted)} {way}, its list of them {passed} and says {count}"
                yield Difference("redis.belonging.list", sides.name(place[1]) if place[0] == "node" else f"link {place[1]}", text)


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
    for (member, group), wanted in sides.expected.memberships.items():
        name, place = f"{ids[member]} in {ids[group]}", (names[member].digest, names[group].digest)
        found = dump.folds.get(place)
        if found is None:
            yield Difference("redis.membership.missing", name, "the log has it, Redis has not")
            continue
        known.add(place)
        yield from _sightings("redis.membership", name, wanted, found)
    for place in sorted(dump.folds.keys() - known):
        who = [sides.name(dump.node_of.get(digest, 0)) for digest in place]
        yield Difference("redis.membership.ghost", " in ".join(who), "Redis has it, the log has not")


def _sightings(kind: str, name: str, wanted: Belonging, found: Pair | Fold) -> Iterator[Difference]:
    yield from differing(kind, name, wanted.latest, _role(found.latest))
    yield from differing(f"{kind}.ended", name, wanted.ended, found.ended)
    yield from differing(f"{kind}.active", name, wanted.active, _role(found.active))


def _role(fact: Fact | None) -> Role | None:
    return None if fact is None else (fact[0], fact[1].decode("utf-8", "surrogatepass"))
