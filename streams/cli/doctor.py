"""`nexus doctor`: what is wrong with a pipeline, what looks wrong in a space, and which guards would help.

Invariant: nothing is written. Neighbours: `streams.diagnosis` and `streams.advice` find, this shows.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import plain, print_json, say

if TYPE_CHECKING:
    from streams.advice import Advice, Sighted, TypeFinding
    from streams.settings import Settings
    from streams.verify.dump import Dump


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    app.command("doctor")(doctor)


def doctor(
    identifiers: Annotated[bool, typer.Option("--identifiers", help="Look at identifiers, their types, and the largest entities.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="Show the N worst of each kind.")] = 10,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 also where there are only warnings.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether all is well with settings, Kafka, Redis, the space and its stages, and say what to do. Exits 1 if something is wrong.

    An error is what stops workers, or loses something; a warning is what should be otherwise. What users of Kafka and Redis may do is asked
    without writing anything; what nobody can ask so, as who may make a topic that is there already, is not looked at.

    With --identifiers look for values that look like junk or shared devices, and for what holds the largest entities together, and
    suggest guards. An owner is a value of the strongest type, such as a user id, that an identifier was seen together with. This reads
    the space once and holds it in memory; the numbers belong together only while nothing is applied.
    """
    from streams.advice import advise  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.settings import load_settings  # noqa: PLC0415

    settings = load_settings(config)
    if not identifiers:
        _show_diagnosis(settings, as_json=as_json, strict=strict)
        return
    found = advise(asyncio.run(_dump(settings)), settings.entities, limit)
    if as_json:
        print_json(dataclasses.asdict(found))
        return
    for line in _lines(found):
        print(line)


def _show_diagnosis(settings: Settings, *, as_json: bool, strict: bool) -> None:
    from streams.diagnosis import diagnose  # noqa: PLC0415

    findings = asyncio.run(diagnose(settings))
    levels = ("error", "warning") if strict else ("error",)
    errors = [one for level in levels for one in findings if one.level == level]
    if as_json:
        print_json({"ok": not errors, "findings": [dataclasses.asdict(one) for one in findings]})
    else:
        for one in findings:
            print(f"{one.level:<8} {plain(one.what)}: {plain(one.text)}")
    if errors:
        say(f"nexus: {len(errors)} of {len(findings)} checks failed; the first: {errors[0].what}: {errors[0].text}")
        raise typer.Exit(1)


async def _dump(settings: Settings) -> Dump:
    """Read the space. Raises NexusError where there is none, RedisUnavailable."""
    from redis.asyncio import Redis  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    from resolvers.errors import NexusError, RedisUnavailable  # noqa: PLC0415
    from streams.cli.ask import no_space  # noqa: PLC0415
    from streams.verify.read_redis import read_dump  # noqa: PLC0415

    redis: Redis = Redis.from_url(settings.redis.url)
    try:
        dump = await read_dump(redis, settings.space)
    except (RedisError, OSError) as error:
        raise RedisUnavailable(f"Redis at {settings.redis.url.rpartition('@')[2]} could not be read: {error}") from error
    finally:
        await redis.aclose()
    if not dump.meta:
        raise NexusError(no_space(settings))
    return dump


def _lines(found: Advice) -> Iterator[str]:
    yield "types                       values  shared  over 5    99 %    most    hubs"
    for one in found.types:
        name = f"{one.entity_type}:{one.type}"
        yield f"  {name:<24}{one.values:>8,}{one.shared:>8,}{one.crowded:>8,}{one.high:>8,}{one.most:>8,}{one.hubs:>8,}"
    yield ""
    yield "seen with the most owners   owners   new    others    links"
    yield from (_sighted(one) for one in found.identifiers)
    if not found.identifiers:
        yield "  none was seen with more than one"
    yield ""
    yield "largest entities"
    for entity in found.entities:
        yield f"  {entity.entity_id}  {entity.size:,} identifiers" + ("" if entity.bridges else ", joined more than once everywhere")
        for bridge in entity.bridges:
            yield f"    without {plain(bridge.identifier)}: {len(bridge.pieces)} pieces, of {_some(bridge.pieces)}"
    if found.junk:
        yield ""
        yield "look like junk              owners   new    others    links"
        yield from (_sighted(one) for one in found.junk)
    suggestions = [*_suggestions(found.types), *_blocks(found)]
    yield ""
    yield "suggestions" if suggestions else "nothing to suggest"
    yield from (f"  {one}" for one in suggestions)


def _sighted(one: Sighted) -> str:
    state = "  blocked" if one.blocked else "  a hub: connects nothing" if one.hub else ""
    name = plain(f"{one.type}:{one.value}")
    return f"  {name:<24}{one.owners:>8,}{one.growth:>6.0%}{one.others:>10,}{one.links:>9,}{state}"


def _some(pieces: tuple[int, ...]) -> str:
    return ", ".join(f"{size:,}" for size in pieces[:4]) + (" and smaller" if len(pieces) > 4 else "")


def _suggestions(types: list[TypeFinding]) -> Iterator[str]:
    for one in types:
        where = f"entities.{one.entity_type}.identifiers.{one.type}"
        if one.over is not None:
            yield f"{where}: hub over {one.over}: would take {one.beyond_over:,} of {one.values:,} values out of use"
        if one.limit is not None:
            yield f"{where}: limit {one.limit}: would divide {one.beyond_limit:,} entities today"


def _blocks(found: Advice) -> Iterator[str]:
    for one in found.junk[:3]:
        yield f"nexus block {plain(f'{one.type}:{one.value}')} --dry-run, or add it to `blocked`: seen with {one.owners:,} owners"
