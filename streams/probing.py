"""Asking a worker of this host how it is, for probes that run a command.

Invariant: nothing is imported that takes long, and an answer that does not come in time is a no.
Neighbours: `admin` answers, `nexus health` asks.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from resolvers.errors import NexusError, SettingsError
from streams.settings import Settings

ANSWER_SECONDS = 5.0
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - nothing is listened on here
"""Addresses that are listened on and can't be asked at."""


def admin_url(settings: Settings) -> str:
    """Give where a worker with these settings answers. Raises SettingsError where it does not."""
    if settings.worker.admin_port is None:
        raise SettingsError("worker.admin_port is not set: set it, so that the worker says how it is")
    host = settings.worker.admin_host
    return f"http://{EVERYWHERE.get(host, f'[{host}]' if ':' in host else host)}:{settings.worker.admin_port}"


def asked(url: str, seconds: float = ANSWER_SECONDS) -> Mapping[str, Any]:
    """Ask `/livez` or `/readyz`; gives the answer, whether it is a yes or a no. Raises NexusError when there is none."""
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=seconds) as answer:
            body = answer.read()
    except HTTPError as error:
        with error:
            body = error.read()
    except OSError as error:
        raise NexusError(f"no worker answers at {url}: {getattr(error, 'reason', error)}") from error
    try:
        verdict = json.loads(body)
        return {"ok": bool(verdict["ok"]), "missing": list(verdict["missing"]), "notes": list(verdict["notes"])}
    except (ValueError, TypeError, KeyError) as error:
        raise NexusError(f"what answers at {url} is no worker: it said {body[:100]!r}") from error
