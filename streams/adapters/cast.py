"""The cast of an event: who takes part in it, persons first and then the groups of their mail domains.

Invariant: nobody is joined with anybody. Neighbours: the adapters of mail, calendars, payments and shops.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.adapters.mail_domains import mail_domain
from streams.events import Identifier, Membership, Participant


class Cast:
    """Collects who takes part in one event: persons, and after them the groups.

    Persons are never joined, whatever they share. A person with an e-mail address brings the group of its mail domain,
    once per domain of an event, and belongs to it. Numbers that the methods give are good for this cast only.
    """

    def __init__(self) -> None:
        self._persons: list[Participant] = []
        self._groups: list[Participant] = []
        self._group_of_domain: dict[str, int] = {}
        self._memberships: dict[tuple[int, int], str | None] = {}

    def person(
        self,
        role: str,
        email: str | None,
        *,
        name: str | None = None,
        others: Sequence[tuple[str, str | None]] = (),
        states: dict[str, str] | None = None,
    ) -> int:
        """Add a person and the group of its mail domain; gives the person's number.

        `others` are further identifiers (type, value), stronger ones first; those without a value are left out.
        A name that is only an address is left out, and so is an address that is obviously none, without an @ or with
        nothing on one side of it.
        """
        if email is not None and not _has_both_sides(email):
            email = None
        pairs = [*others, ("email", email)]
        identifiers = [Identifier(kind, value) for kind, value in pairs if value]
        traits = {"name": name} if name and not _is_address(name) else {}
        self._persons.append(Participant("person", role, identifiers, traits, states or {}))
        member = len(self._persons) - 1
        domain = mail_domain(email) if email else None
        if domain is not None:
            if domain not in self._group_of_domain:
                self.group(f"{role}_domain", domains=[domain])
            self.join(member, self._group_of_domain[domain])
        return member

    def group(
        self,
        role: str,
        *,
        domains: Sequence[str],
        others: Sequence[tuple[str, str | None]] = (),
        traits: dict[str, str] | None = None,
    ) -> int:
        """Add a group with its domains; gives its number. Persons whose mail domain is one of these belong to it."""
        identifiers = [Identifier(kind, value) for kind, value in others if value]
        identifiers += [Identifier("domain", domain) for domain in dict.fromkeys(domains)]
        self._groups.append(Participant("group", role, identifiers, traits or {}))
        for domain in domains:
            self._group_of_domain.setdefault(domain, len(self._groups) - 1)
        return len(self._groups) - 1

    def join(self, person: int, group: int, role: str | None = None) -> None:
        """Make a person belong to a group; a role that is already known stays when none is given."""
        self._memberships[person, group] = role or self._memberships.get((person, group))

    def participants(self) -> list[Participant]:
        """Give the persons in the order they were added, and then the groups."""
        return self._persons + self._groups

    def memberships(self) -> list[Membership]:
        """Give the memberships, their numbers those of `participants()`."""
        return [Membership(person, len(self._persons) + group, role) for (person, group), role in self._memberships.items()]


def _has_both_sides(address: str) -> bool:
    local, at, domain = (part.strip() for part in address.rpartition("@"))
    return bool(local.strip("@") and at and domain)


def _is_address(name: str) -> bool:
    return "@" in name and not any(character.isspace() for character in name.strip())
