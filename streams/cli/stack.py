"""`nexus up` and `nexus down`: the local Kafka and Redis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import ConfigOption, JsonOption
from streams.cli.output import print_json, say

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.stack import Addresses


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("up")(up)
    app.command("down")(down)


def up(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Start the local Apache Kafka and Redis, and wait until both answer.

    No Docker is needed: Kafka runs on Java 17 or newer and is fetched by Maven the first time. Twice is once.
    """
    from streams.settings import load_settings  # noqa: PLC0415 - keeps `nexus --help` quick
    from streams.stack import LocalStack  # noqa: PLC0415

    settings = load_settings(config)
    addresses = LocalStack.from_settings(settings).up(say)
    if as_json:
        print_json({"bootstrap_servers": addresses.bootstrap_servers, "redis_url": addresses.redis_url})
        return
    print(f"Kafka  {addresses.bootstrap_servers}")
    print(f"Redis  {addresses.redis_url}")
    for line in _differences(settings, addresses):
        print(line)


def down(
    config: ConfigOption = None,
    wipe: Annotated[bool, typer.Option("--wipe", help="Remove the data and logs too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop the local Kafka and Redis; nothing that `nexus up` started is left running."""
    from streams.settings import load_settings  # noqa: PLC0415
    from streams.stack import LocalStack  # noqa: PLC0415

    stack = LocalStack.from_settings(load_settings(config))
    stopped = stack.down(wipe=wipe)
    if as_json:
        print_json({"stopped": stopped, "wiped": wipe})
        return
    print(f"stopped {' and '.join(stopped)}" if stopped else f"nothing of {stack.directory} was running")
    if wipe:
        print(f"no data are left in {stack.directory}")


def _differences(settings: Settings, addresses: Addresses) -> list[str]:
    """Return what must be set for other commands to find this stack, if the settings name other addresses."""
    wanted = {
        "NEXUS__KAFKA__BOOTSTRAP_SERVERS": (settings.kafka.bootstrap_servers, addresses.bootstrap_servers),
        "NEXUS__REDIS__URL": (settings.redis.url, addresses.redis_url),
    }
    return [f"The settings name {named}; for this stack: export {name}={ours}" for name, (named, ours) in wanted.items() if named != ours]
