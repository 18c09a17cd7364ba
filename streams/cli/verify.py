"""`nexus verify`: is everything as the event log says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.verify import Report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    config: ConfigOption = None,
    space: Annotated[str | None, typer.Option("--space", metavar="NAME", help="Another space than that of the settings.")] = None,
    as_json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=0, metavar="N", help="Show so many differences of each kind.")] = 5,
    wait: Annotated[
        float, typer.Option("--wait", min=0, metavar="SECONDS", help="Wait so long for a pipeline that is still working.")
    ] = 30,
) -> None:
    """Recompute everything from the event log by an independent method; compare with Redis and the topics.

    Changes nothing. Exits 1 if anything differs.
    """
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick

    settings = load_settings(config)
    if space is not None:
        settings = settings.model_copy(update={"space": space})
    report = asyncio.run(verified(settings, wait_seconds=wait))
    if as_json:
        print_json(report.as_json(limit))
    else:
        for line in report.lines(limit):
            print(line)
    if not report.ok:
        say("nexus: " + (f"{len(report.differences):,} differences" if report.differences else "the pipeline is still working"))
        raise typer.Exit(1)


async def verified(settings: Settings, *, wait_seconds: float) -> Report:
    """Verify; whatever does not answer is named. Raises KafkaUnavailable, RedisUnavailable."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415

    from resolvers.errors import KafkaUnavailable, RedisUnavailable  # noqa: PLC0415
    from streams.verify import verify as run  # noqa: PLC0415

    try:
        return await run(settings, wait_seconds=wait_seconds)
    except RedisError as error:
        raise RedisUnavailable(f"Redis at {settings.redis.url.rpartition('@')[2]} could not be read: {error}") from error
    except (KafkaError, TimeoutError) as error:
        raise KafkaUnavailable(f"Kafka at {settings.kafka.bootstrap_servers} could not be read: {error or type(error).__name__}") from error
