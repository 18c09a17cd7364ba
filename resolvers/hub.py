"""Guard 2: identifiers that too many share, such as the device in a shop, connect nothing, also in the past.

Invariant: a function of the set of links: what counts is with how many distinct values an identifier was seen, exactly,
never when. Neighbours: `rules` says which types have the guard; what is found here is left out of `edge`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from resolvers.edge import Together
from resolvers.rules import EntityRule


def hubs(links: Iterable[Together], rule: EntityRule, blocked: Collection[bytes] = ()) -> set[bytes]:
    """Name the identifiers seen on links with more distinct values of the counted type than their rule allows.

    Blocked values are not counted; values that are hubs themselves are, so that no order of demotions matters.
    """
    met: dict[bytes, set[bytes]] = {}
    over: dict[bytes, int] = {}
    for link in links:
        by_type: dict[str, set[bytes]] = {}
        for usable in link.identifiers:
            if usable.digest not in blocked:
                by_type.setdefault(usable.identifier.type, set()).add(usable.digest)
        for usable in link.identifiers:
            guard = rule.identifiers[usable.identifier.type].hub
            if guard is not None and (counted := by_type.get(guard[0])):
                met.setdefault(usable.digest, set()).update(counted - {usable.digest})
                over[usable.digest] = guard[1]
    return {digest for digest, values in met.items() if len(values) > over[digest]}
