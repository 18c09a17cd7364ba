"""How much an event matters, and whether it is among ourselves: what the settings say of events after their adapter.

Invariant: what the adapter said itself stands. Neighbours: the frame calls this for every event; states may be told by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from resolvers.normalise import normaliser
from streams.events import Event, Participant

_domain = normaliser("domain", None)


class Judge:
    """Judges events by the settings of a source and the domains that are our own."""

    def __init__(self, significance: Mapping[str, int], own_domains: Iterable[str]) -> None:
        """`significance` is by event name, or type; domains count with everything below them."""
        self._significance = significance
        self._own = tuple(_domain(one) for one in own_domains)

    def judge(self, event: Event) -> Event:
        """Complete an event in place."""
        if event.significance is None and self._significance:
            event.significance = self._significance.get(event.name, self._significance.get(event.type or ""))
        if event.internal is None and self._own:
            known = [own for one in event.participants if (own := self._is_own(one)) is not None]
            event.internal = all(known) if known else None
        return event

    def _is_own(self, participant: Participant) -> bool | None:
        """Say whether a participant is one of us; None where no domain tells."""
        found = [domain for one in participant.identifiers if (domain := _domain_of(one.type, one.value))]
        if not found:
            return None
        return all(any(domain == own or domain.endswith(f".{own}") for own in self._own) for domain in found)


def _domain_of(kind: str, value: str) -> str:
    if kind == "domain":
        return _domain(value.rpartition("@")[2])
    local, _, host = value.rpartition("@")
    is_mail = bool(local) and not local.startswith("@") and "." in host  # no handle, as `@ann` or `@ann@social.example`
    return _domain(host) if is_mail else ""
