"""The command: what an operator says against the evidence, as it lies on the commands topic.

Invariant: reading is strict and a pure function of the record and the settings; whatever is no command, or could not have its
effect, is rejected with the reason. Neighbours: `commands` has the graph take it in, `resolvers.correction` says what it means.
"""

from __future__ import annotations

import re

import msgspec

from resolvers.correction import Correction, Kind
from resolvers.erasure import Erasure
from resolvers.errors import Rejected, Why
from resolvers.identifier import DIGEST_BYTES, Identifier
from resolvers.instant import read_instant, write_instant
from resolvers.rules import Rules
from resolvers.sighting import Usable

COMMANDS: dict[str, tuple[Kind, bool]] = {
    "block": (Kind.BLOCK, True),
    "unblock": (Kind.BLOCK, False),
    "forbid": (Kind.FORBID, True),
    "permit": (Kind.FORBID, False),
    "link": (Kind.LINK, True),
    "unlink": (Kind.LINK, False),
}
"""The words a command may be: what each is about, and whether it says the thing or takes it back."""

ERASE = "erase"

AHEAD_MS = 86_400_000
"""A command issued more than a day after it was written would stand against all that follow: a wrong clock."""

MOST_COVERED = 500
"""Identifiers that one erasure covers; more need several."""

MOST_TEXT = 1_000


class Named(msgspec.Struct, frozen=True, omit_defaults=True):
    """An identifier as an operator writes it: by its value, or by the digest in hex of what it is normalised to.

    Without an entity type the first that declares the type is meant. An erasure names digests only. What is null is absent.
    """

    type: str
    value: str = ""
    entity_type: str = ""
    digest: str = ""


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A command. `cutoff` is an erasure's alone. `actor` and `reason` are for people; they influence nothing. What is null is absent."""

    command_id: str
    command: str
    identifiers: list[Named]
    issued_at: str
    cutoff: str = ""
    actor: str = ""
    reason: str = ""


_DIGEST = re.compile(f"[0-9a-f]{{{2 * DIGEST_BYTES}}}")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def write_command(command: Command) -> bytes:
    """Write a command as it lies on the topic."""
    return _encode(command)


def read_command(rules: Rules, value: bytes | None, written_ms: int) -> Correction | Erasure:
    """Read a record of the commands topic; `written_ms` is its timestamp in epoch milliseconds. Raises Rejected."""
    command = decode_command(value)
    return erasure_of(rules, command, written_ms) if command.command == ERASE else correction_of(rules, command, written_ms)


def decode_command(value: bytes | None) -> Command:
    """Read a record's form. Raises Rejected."""
    if value is None:
        said = "the record has no value; a command is a JSON object with command_id, command, identifiers and issued_at"
        raise Rejected(said, Why.MALFORMED)
    try:
        return msgspec.convert(_without_nulls(_decode(value)), Command)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejected(f"the record is not a command: {error}", Why.MALFORMED) from error


def _without_nulls(said: object) -> object:
    match said:
        case dict():
            return {name: _without_nulls(one) for name, one in said.items() if one is not None}
        case list():
            return [_without_nulls(one) for one in said]
        case _:
            return said


def correction_of(rules: Rules, command: Command, written_ms: int) -> Correction:
    """Say what a command that is no erasure means for the graph. Raises Rejected."""
    if command.command not in COMMANDS:
        raise Rejected(f"{command.command[:100]!r} is not a command; there are {', '.join(COMMANDS)}, {ERASE}")
    _check_id(command)
    kind, holds = COMMANDS[command.command]
    wanted = 1 if kind is Kind.BLOCK else 2
    if len(command.identifiers) != wanted:
        raise Rejected(f"{command.command} names {'one identifier' if wanted == 1 else 'two identifiers'}, not {len(command.identifiers)}")
    usable = tuple(_usable(rules, one) for one in command.identifiers)
    if len({one.identifier.entity_type for one in usable}) > 1:
        raise Rejected(f"{command.command} names identifiers of two entity types; only those of one can be one entity")
    if len({one.digest for one in usable}) < wanted:
        raise Rejected(f"{command.command} names the same identifier twice")
    return Correction(command.command_id, kind, holds, usable, _time("issued_at", command.issued_at, written_ms))


def erasure_of(rules: Rules, command: Command, written_ms: int) -> Erasure:
    """Say what an erasure means for the graph. Raises Rejected."""
    _check_id(command)
    if not 0 < len(command.identifiers) <= MOST_COVERED:
        raise Rejected(f"{ERASE} names between one and {MOST_COVERED} identifiers, not {len(command.identifiers)}")
    if not all(one.digest for one in command.identifiers) or any(one.value for one in command.identifiers):
        raise Rejected(f"{ERASE} names identifiers by their digests, so that no value lies on the topic")
    _time("issued_at", command.issued_at, written_ms)
    covered = {usable.digest: usable for usable in (_usable(rules, one) for one in command.identifiers)}
    return Erasure(command.command_id, tuple(covered.values()), _time("cutoff", command.cutoff, written_ms))


def _check_id(command: Command) -> None:
    if not 0 < len(command.command_id) <= MOST_TEXT:
        raise Rejected(f"a command needs a command_id of at most {MOST_TEXT:,} characters")


def _time(name: str, text: str, written_ms: int) -> int:
    try:
        found = read_instant(text)
    except ValueError as error:
        raise Rejected(f"{name} {text[:100]!r} is not an RFC 3339 time: {error}", Why.TIME) from error
    if found > written_ms + AHEAD_MS:
        raise Rejected(f"{name} {text[:100]} is more than a day after it was written, at {write_instant(written_ms)}", Why.TIME)
    return found


def _usable(rules: Rules, named: Named) -> Usable:
    declaring = [entity for entity, rule in rules.entities.items() if named.type in rule.identifiers]
    entity_type = named.entity_type or (declaring[0] if declaring else "")
    if entity_type not in declaring:
        what = f"{named.entity_type}:{named.type}" if named.entity_type else named.type
        raise Rejected(f"{what[:100]!r} is no identifier type of the settings")
    if named.digest:
        if named.value or not _DIGEST.fullmatch(named.digest):
            raise Rejected(f"an identifier is named by its value, or by its digest, {2 * DIGEST_BYTES} digits of lower-case hex")
        priority = rules.entities[entity_type].identifiers[named.type].priority
        return Usable(Identifier(entity_type, named.type, ""), bytes.fromhex(named.digest), priority)
    found = rules.usable(entity_type, named.type, named.value)
    if found is None:
        raise Rejected(
            f"an identifier of type {named.type} connects nothing as it is: its value is blank, too long or blocked by the settings"
        )
    return found
