"""Addresses of Kafka and Redis, as their clients take them: what is wrong with one, in words.

Invariant: nothing here raises or connects. Neighbours: `checks` runs these.
"""

from __future__ import annotations

import re
from socket import AF_INET6, inet_pton

_PORT = re.compile(r"[0-9]{1,5}")
_BRACKETED = re.compile(r"\[([^\[\]]+)\](?::(.*))?")


def bootstrap_problem(servers: str) -> str | None:
    """Say what is wrong with `host:port` and more of these, separated by commas; None where nothing is."""
    named = [one.strip() for one in servers.split(",") if one.strip()]
    wrong = next((one for one in named if not _is_server(one)), None)
    if wrong is None and named:
        return None
    told = "" if wrong is None or wrong == servers.strip() else f", which {wrong!r} is not"
    return f"must be host:port, or several with commas between them{told}; a port is a number from 1 to 65535"


def redis_problem(url: str) -> str | None:
    """Say why the client of Redis does not take an address; None where it does. No connection is made."""
    from redis.asyncio.connection import ConnectionPool  # noqa: PLC0415 - slow to import, and needed for nothing else here
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, AttributeError, RedisError) as error:
        return f"is no address that can be used; one looks like redis://host:6379/0: {error}"
    return None


def _is_server(server: str) -> bool:
    if found := _BRACKETED.fullmatch(server):
        return _is_ipv6(found[1]) and (found[2] is None or _is_port(found[2]))
    if _is_ipv6(server):
        return True
    host, colon, port = server.partition(":")
    return bool(host) and not any(one.isspace() or one in "/[]" for one in host) and (not colon or _is_port(port))


def _is_ipv6(host: str) -> bool:
    try:
        inet_pton(AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


def _is_port(text: str) -> bool:
    return _PORT.fullmatch(text) is not None and 0 < int(text) < 1 << 16
