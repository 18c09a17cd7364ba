"""Rows: from what the scripts reply to the views that documents are made of.

Times lie in Redis as milliseconds since the year 1, so that they pack unsigned; here they become epoch times again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgpack
import msgspec

from resolvers.carried import ALONE, Around
from resolvers.entity import EntityView, Fact, MembershipView, SeenIdentifier, erased_document, merged_document, split_document
from resolvers.folds import with_states
from resolvers.identifier import Identifier, entity_id
from resolvers.instant import EARLIEST_MS, HOUR_MS
from resolvers.link import SeenLink
from resolvers.rules import Rules
from resolvers.sighting import Usable
from resolvers.states import Observation
from resolvers.timeline import Merge
from resolvers.told_states import histories_told, told_whole, with_told_states

BIAS_MS = -EARLIEST_MS
"""From the year 1 to the epoch, a whole number of hours."""

BIAS_HOURS = BIAS_MS // HOUR_MS

_decode_traits = msgspec.msgpack.Decoder(dict[str, tuple[int | str, ...]] | list[None]).decode
_PackedFact = tuple[int, str, str, str]
_decode_fold = msgspec.msgpack.Decoder(tuple[_PackedFact, int, _PackedFact | bool, _PackedFact | bool, int, int]).decode


def pack(value: object) -> bytes:
    """Write msgpack in its older form, where bytes and text are one: Lua's cmsgpack knows no other."""
    return bytes(msgpack.packb(value, use_bin_type=False, unicode_errors="surrogatepass"))


def unpack(packed: bytes) -> list[Any]:
    """Read what cmsgpack wrote, text as bytes: one C call, where a nested reply would be parsed piece by piece."""
    rows: list[Any] = msgpack.unpackb(packed, raw=True)
    return rows


class Rows:
    """Reads rows under the rules of a space, which know the id prefixes."""

    def __init__(self, rules: Rules, listed: int) -> None:
        """Keep the rules, and how many identifiers a document lists."""
        self._rules = rules
        self._listed = listed

    def entity_id(self, founder: bytes, named: bytes) -> str:
        """Write the id of the entity founded by a digest; `named` is the founder's `entity type:identifier type`."""
        return entity_id(self._rules.prefix(entity_type_of(named)), founder)

    def identifier(self, row: list[Any]) -> SeenIdentifier:
        """Read an identifier row."""
        digest, named, value, first, last, event, _ = row
        entity_type, kind = named.decode().split(":", 1)
        identifier = Identifier(entity_type, kind, value.decode("utf-8", "surrogatepass"))
        return SeenIdentifier(identifier, digest, first - BIAS_MS, last - BIAS_HOURS, read_event(event))

    def named(self, named: bytes, value: bytes) -> Identifier:
        """Read an identifier, `named` being its `entity type:identifier type`."""
        entity_type, kind = named.decode().split(":", 1)
        return Identifier(entity_type, kind, value.decode("utf-8", "surrogatepass"))

    def link(self, row: list[Any]) -> SeenLink:
        """Read a link row."""
        event, last, named = row
        return SeenLink(tuple(self._usable(*one) for one in named), read_event(event), last - BIAS_HOURS)

    def _usable(self, digest: bytes, named: bytes, value: bytes) -> Usable:
        entity_type, kind = named.decode().split(":", 1)
        priority = self._rules.entities[entity_type].identifiers[kind].priority
        return Usable(Identifier(entity_type, kind, value.decode("utf-8", "surrogatepass")), digest, priority)

    @property
    def carried(self) -> bool:
        """Whether memberships carry states."""
        return bool(self._rules.states.carried)

    def means(self, told: bytes, tells: bytes) -> int:
        """Say what a change of an entity's states, as told before and now, means to those around: 1 for its groups, 2 for its members."""
        if told == tells or not self.carried:
            return 0
        before, now = histories_told(told), histories_told(tells)
        changed = before.keys() | now.keys()
        if told_whole(told):
            changed = {name for name in changed if before.get(name) != now.get(name)}
        return sum(mark for of, mark in (("members", 1), ("groups", 2)) if not changed.isdisjoint(self._rules.states.carried.get(of, ())))

    def entity(self, digest: bytes, row: list[Any], now: int, around: Around = ALONE) -> EntityView:
        """Read the row of a living entity, as of a present in ms. Without its observations its states are those that were told."""
        _, named, count, first, last, traits, rows = row[:7]
        name, entity_type = self.entity_id(digest, named), entity_type_of(named)
        seen = tuple(sorted((self.identifier(one) for one in rows), key=lambda one: (one.first, one.digest))[: self._listed])
        view = EntityView(name, entity_type, first - BIAS_MS, last - BIAS_HOURS, seen, count, read_traits(traits))
        if row[10] is None:
            return with_told_states(view, row[9])
        return with_states(view, self._rules, {read_observation(one) for one in row[10]}, now, around)

    def told(self, view: EntityView, digest: bytes, row: list[Any], traits: bytes, states: bytes) -> EntityView:
        """Rebuild, as far as the timeline needs it, how an entity was told last.

        `digest` is that of which its id is made, `states` are packed as they are now: often just as they were.
        """
        before = {one[0] for one in row[6] if one[6]} | {digest}
        listed = (*(one for one in view.identifiers if one.digest in before), *map(self.identifier, row[7]))
        old = EntityView(view.entity_id, view.entity_type, view.first, view.last_hour, listed, len(listed), read_traits(traits))
        if row[9] == states:
            return replace(old, states=view.states, refused=view.refused)
        return with_told_states(old, row[9])

    def ended(self, entity_id: str, digest: bytes, row: list[Any]) -> dict[str, Any] | None:
        """Write what became of an id that ended, `digest` being that of which it is made; None for one that never was."""
        match row[0]:
            case b"gone" if self.entity_id(digest, row[2]) == entity_id:
                return merged_document(entity_id, entity_type_of(row[2]), self.entity_id(row[1], row[2]))
            case b"erased" if self.entity_id(digest, row[1]) == entity_id:
                return erased_document(entity_id, entity_type_of(row[1]))
            case b"split" if self.entity_id(digest, row[1]) == entity_id:
                return split_document(entity_id, entity_type_of(row[1]), self.successors(row))
            case _:
                return None

    def successors(self, row: list[Any]) -> list[str]:
        """Read who came of an id that was split."""
        return [self.entity_id(founder, named) for founder, named in row[2]]

    def merges(self, rows: list[Any], sign: bytes) -> list[Merge]:
        """Read the notes of merges of one direction: `+` for ids absorbed, `-` for the id absorbed by, `/` for parts split off."""
        return [
            Merge(self.entity_id(other, named), read_event(event), tuple(_named(*one) for one in link))
            for way, other, named, event, link in rows
            if way == sign
        ]

    def membership(self, row: list[Any]) -> tuple[str, str, MembershipView | None]:
        """Read a membership row: both ids, and the view unless nobody belongs to anything there any more."""
        p, p_named, g, g_named, fold = row[:5]
        pair = (self.entity_id(p, p_named), self.entity_id(g, g_named))
        return (*pair, read_membership(pair, fold))


def read_membership(pair: tuple[str, str], fold: bytes) -> MembershipView | None:
    """Read the fold of a membership; None when it is empty."""
    if not fold:
        return None
    latest, ended, active, begun, _, _ = _decode_fold(fold)
    return MembershipView(*pair, _fact(latest), bool(ended), _fact_if_any(active), _fact_if_any(active if begun is True else begun))


def entity_type_of(named: bytes) -> str:
    """Take the entity type out of `entity type:identifier type`."""
    return named.decode().split(":", 1)[0]


def read_event(event: list[Any]) -> Fact:
    """Read a link's first event; an empty one was not asked for."""
    if not event:
        return Fact(0, "", "")
    return Fact(event[0] - BIAS_MS, event[1].decode(), event[2].decode())


def read_observation(packed: bytes) -> Observation:
    """Read an observation of a state."""
    state, at, source, event_id, index, value = msgpack.unpackb(packed, raw=True)
    text = [one.decode("utf-8", "surrogatepass") for one in (state, source, event_id, value)]
    return text[0], at - BIAS_MS, text[1], text[2], index, text[3]


def read_traits(packed: bytes) -> dict[str, Fact]:
    """Read a fold of traits."""
    found = _decode_traits(packed) if packed else {}
    return {name: _trait(*fact) for name, fact in found.items()} if isinstance(found, dict) else {}


def _trait(order: Any, source: Any, event_id: Any, value: Any, seen_at: Any = None) -> Fact:  # noqa: ANN401 - as it was packed
    if seen_at is None:
        return Fact(order - BIAS_MS, source, event_id, value.encode())
    return Fact(order, source, event_id, value.encode(), seen_at - BIAS_MS)


def _named(kind: bytes, value: bytes) -> tuple[str, str]:
    return kind.decode().split(":", 1)[1], value.decode("utf-8", "surrogatepass")


def _fact(packed: _PackedFact) -> Fact:
    return Fact(packed[0] - BIAS_MS, packed[1], packed[2], packed[3].encode())


def _fact_if_any(packed: _PackedFact | bool) -> Fact | None:
    return None if isinstance(packed, bool) else _fact(packed)
