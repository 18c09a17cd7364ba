"""Faust's own settings: how its app reaches Kafka, and everything of it that we do not use switched off.

Invariant: Faust declares no topics, keeps no tables, serves no web pages and decides nothing about delivery.
Neighbours: `app` makes the Faust app with these.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import faust
from faust.app.base import BootStrategy
from faust.auth import OAuthCredentials
from yarl import URL

from streams import kafka
from streams.settings import Settings
from streams.tokens import tokens_of

DEAD_LETTER_FETCH_BYTES = 32 * 1024 * 1024
"""Above the largest dead letter that the topic takes by default."""


class NoWeb(BootStrategy):
    """Starts what Faust starts, but never its web server, whatever its command line says."""

    enable_web = False


def faust_options(settings: Settings) -> dict[str, Any]:
    """Give the keyword arguments of `faust.App`, but for its id."""
    session_seconds = settings.worker.session_timeout_ms / 1000
    request_seconds = max(settings.kafka.request_timeout_ms / 1000, session_seconds + 1)
    return {
        "broker_credentials": credentials(settings),
        "broker": [URL(f"kafka://{server.strip()}") for server in settings.kafka.bootstrap_servers.split(",")],
        "broker_client_id": f"{settings.kafka.client_id}-faust",
        "broker_session_timeout": session_seconds,
        "broker_rebalance_timeout": session_seconds,
        "broker_heartbeat_interval": session_seconds / 4,
        "broker_request_timeout": request_seconds,
        "consumer_auto_offset_reset": "latest",
        "consumer_max_fetch_size": DEAD_LETTER_FETCH_BYTES,
        "store": "memory://",
        "datadir": Path(tempfile.gettempdir()) / "nexus-faust",
        "autodiscover": False,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "stream_wait_empty": False,
        "web_enabled": False,
        "worker_redirect_stdouts": False,
    }


def credentials(settings: Settings) -> faust.SASLCredentials | faust.SSLCredentials | OAuthCredentials | None:
    """Give Faust's form of `kafka.security`."""
    security = settings.kafka.security
    context = kafka.ssl_context(security) if security.protocol.endswith("SSL") else None
    if security.protocol.startswith("SASL") and security.mechanism == "OAUTHBEARER":
        return OAuthCredentials(oauth_cb=tokens_of(security.token_provider or ""), ssl_context=context)
    if security.protocol.startswith("SASL"):
        password = security.password.get_secret_value() if security.password else None
        return faust.SASLCredentials(username=security.username, password=password, ssl_context=context, mechanism=security.mechanism)
    return faust.SSLCredentials(context) if context is not None else None
