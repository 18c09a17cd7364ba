"""Who a Segment call is about: the person's identifiers and traits.

Traits come from `traits` of an identify call, from `context.traits` of any call, and from Jitsu's `user`. E-mail
addresses and phone numbers among them are identifiers too. Properties of a track call are never read as identifiers:
they often name somebody else, such as whom an invitation went to.
"""

from __future__ import annotations

import re
from typing import Any

from resolvers.errors import Rejected
from streams.adapters.participants import identifier_values, traits_of
from streams.adapters.segment_fields import any_id, scalar_id, section
from streams.events import Identifier

_USER_ID = (("userId",), ("user_id",), ("user", "id"))
_ANONYMOUS_ID = (("anonymousId",), ("anonymous_id",), ("user", "anonymous_id"))
_PREVIOUS_ID = (("previousId",), ("previous_id",))
_JITSU_IDS = frozenset({"id", "anonymous_id", "hashed_anonymous_id", "internal_id"})
_CONTACTS = ("email", "phone")

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE | re.ASCII)


def person_traits(message: dict[str, Any], kind: str) -> dict[str, Any]:
    """Gather the person's traits; those of the call itself come before those of its context."""
    jitsu = {key: value for key, value in section(message, "user").items() if key not in _JITSU_IDS}
    own = section(message, "traits") if kind == "identify" else {}
    return traits_of({**jitsu, **section(message, "context", "traits"), **own})


def person_identifiers(message: dict[str, Any], traits: dict[str, Any]) -> list[Identifier]:
    """List the person's identifiers, the surest first."""
    found = [
        ("user_id", any_id(message, *_USER_ID)),
        ("anonymous_id", any_id(message, *_ANONYMOUS_ID)),
        *((contact, value) for contact in _CONTACTS for value in _contacts(traits.get(contact))),
        ("device_id", scalar_id(message, ("context", "device", "id"))),
    ]
    identifiers = [Identifier(kind, value) for kind, value in found if value is not None]
    return identifiers + _external_ids(message)


def previous_identifier(message: dict[str, Any]) -> Identifier:
    """Tell what the `previousId` of an alias call is. Raises Rejected when the call lacks an id.

    The specification lets it be an anonymous id or a user id, without saying which. It is an e-mail address if it
    looks like one, an anonymous id if it is the call's `anonymousId` or a UUID, and else a user id.
    """
    previous = any_id(message, *_PREVIOUS_ID)
    if previous is None or any_id(message, *_USER_ID) is None:
        raise Rejected("the alias call needs both `previousId` and `userId`")
    if _EMAIL.fullmatch(previous) is not None:
        return Identifier("email", previous)
    if _UUID.fullmatch(previous) is not None or previous == any_id(message, *_ANONYMOUS_ID):
        return Identifier("anonymous_id", previous)
    return Identifier("user_id", previous)


def _contacts(value: object) -> list[str]:
    """Read an e-mail or phone trait; a trait made of objects stays a trait only."""
    try:
        return identifier_values(value)
    except Rejected:
        return []


def _external_ids(message: dict[str, Any]) -> list[Identifier]:
    """Read `context.externalIds`, where Segment puts identifiers of types that its user declared."""
    listed = section(message, "context").get("externalIds")
    found = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and entry.get("collection", "users") == "users":
            kind, value = scalar_id(entry, ("type",)), scalar_id(entry, ("id",))
            if kind is not None and value is not None:
                found.append(Identifier(kind, value))
    return found
