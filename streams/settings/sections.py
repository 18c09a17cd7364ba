"""The sections of the settings file, each a frozen model that refuses unknown keys.

Invariant: a model that was made holds only values that are allowed by themselves; what must agree between
sections is checked in `checks`. Neighbours: `model` puts the sections together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from resolvers.trait_rules import MOST_SOURCES

Normaliser = Literal["email", "phone", "domain", "lower", "exact"]
"""The names that `normalise` takes; `exact` only trims."""

Stage = Literal["adapt", "resolve", "publish"]
"""The stages a worker can run."""

IDENTIFIER_TYPE = r"^[A-Za-z][A-Za-z0-9_.-]{0,62}$"
MOST_BUCKETS = 1 << 20
ENTITY_TYPE = r"^[a-z][a-z0-9_]{0,62}$"


class Section(BaseModel):
    """A part of the settings: frozen, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=False)


class SecuritySettings(Section):
    """How to reach a Kafka that asks who is there."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field("PLAINTEXT", description="Kafka's security protocol.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field("PLAIN", description="SASL mechanism.")
    username: str | None = Field(None, description="SASL user name.")
    password: SecretStr | None = Field(None, description="SASL password.")
    token_provider: str | None = Field(
        None,
        pattern=r"^[\w.]+:\w+$",
        description="For OAUTHBEARER: `package.module:function`, plain or async, that gives a token; asked for every new connection.",
    )
    ca_file: Path | None = Field(None, description="Certificates to trust, PEM; the system's when left out.")
    cert_file: Path | None = Field(None, description="Client certificate, PEM.")
    key_file: Path | None = Field(None, description="Key of the client certificate, PEM.")
    key_password: SecretStr | None = Field(None, description="Password of the key file.")
    check_hostname: bool = Field(default=True, description="Whether the broker's certificate must name its host.")


class KafkaSettings(Section):
    """Where Kafka is and how its clients behave."""

    bootstrap_servers: str = Field("127.0.0.1:9092", min_length=1, description="Comma separated `host:port`.")
    security: SecuritySettings = Field(default_factory=SecuritySettings, description="TLS and SASL.")
    client_id: str = Field("nexus", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="First part of every client id.")
    replication_factor: int = Field(-1, ge=-1, le=32767, description="Of topics that are made; -1 leaves it to the broker.")
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = Field("none", description="Of batches that are written.")
    linger_ms: int = Field(5, ge=0, le=10_000, description="How long a producer waits to fill a batch.")
    producer_batch_bytes: int = Field(256 * 1024, ge=1024, description="Largest batch of a producer, per partition.")
    request_timeout_ms: int = Field(40_000, ge=1_000, description="After this long without an answer a request has failed.")
    transaction_timeout_ms: int = Field(60_000, ge=1_000, le=900_000, description="After this long the broker aborts a transaction.")
    connect_seconds: float = Field(120, ge=0, description="How long an unreachable Kafka is retried before giving up.")


class RedisSettings(Section):
    """Where Redis or Valkey is."""

    url: str = Field(
        "redis://127.0.0.1:6379/0", pattern=r"^(rediss?|unix)://", description="`redis://`, `rediss://` (TLS) or `unix://` address."
    )
    buckets: int = Field(
        4096,
        ge=1,
        le=MOST_BUCKETS,
        description="Hashes that identifiers are spread over, one for every 128 that are expected; the default is for up to a million. "
        "Fixed at the birth of a space.",
    )
    connect_seconds: float = Field(120, ge=0, description="How long an unreachable Redis is retried before giving up.")


class TopicSettings(Section):
    """Names of the topics that nexus itself writes."""

    prefix: str = Field(
        "nexus.", pattern=r"^[A-Za-z0-9._-]{0,100}$", description="First part of the name of every topic that nexus writes."
    )
    config: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        description="Kafka's own topic settings by topic (`dead-letters: {retention.ms: 2592000000}`), over the built-in ones.",
    )


class HubSettings(Section):
    """An identifier seen with more than `over` distinct values of type `of` connects nothing."""

    of: str = Field(description="A stronger identifier type of the same entity type.")
    over: int = Field(5, ge=1, description="Most distinct values it may be seen with.")


class IdentifierSettings(Section):
    """What an identifier type is worth and how its values are made comparable."""

    priority: int | None = Field(None, ge=1, le=99, description="1 is the strongest; the place in the file when left out.")
    normalise: Normaliser = Field("exact", description="How values are made comparable; `exact` only trims.")
    region: str | None = Field(
        None, pattern=r"^[A-Z]{2}$", description="Country of phone numbers without a country code, for `normalise: phone`."
    )
    limit: int | None = Field(None, ge=1, description="Most distinct values of this type in one entity.")
    hub: HubSettings | None = Field(
        None, description="When a value is shared too widely to count; left out, `of` is the strongest type and `over` is 5."
    )
    blocked: list[str] = Field(default_factory=list, description="Values that connect nothing, or `re:` and a regular expression.")
    hashed: bool = Field(default=False, description="Whether its values leave as digests, keyed with `identity_key`, on the output topics.")


class TraitSettings(Section):
    """Which of the values that were seen of a trait an entity has."""

    keep: Literal["latest", "earliest", "longest", "source", "all"] = Field(
        "latest",
        description="`source`: the best source's latest; `all`: a list, of at most 500 values of 128 KiB together: the shortest. "
        "Of equal ones the largest by (source, event id, value).",
    )
    sources: list[str] = Field(
        default_factory=list,
        max_length=MOST_SOURCES,
        description="For `keep: source`: sources that count more than others, the best first.",
    )


class EntitySettings(Section):
    """An entity type: what identifies it."""

    prefix: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9]{0,9}$", description="First part of its ids; `per`, `grp`, else the first three letters of the type."
    )
    identifiers: dict[str, IdentifierSettings] = Field(min_length=1, description="Identifier types, strongest first.")
    blocked: list[str] = Field(
        default_factory=list, description="Values of any type that connect nothing, or `re:` and a regular expression."
    )
    size: int = Field(1000, ge=1, description="Most identifiers in one entity.")
    traits: dict[str, TraitSettings] = Field(
        default_factory=dict, description="Which value of a trait counts; that of the latest event where none is named."
    )

    @field_validator("identifiers", mode="before")
    @classmethod
    def _named_only(cls, identifiers: object) -> object:
        """Take a type that is only named for one with all defaults."""
        return {kind: {} if one is None else one for kind, one in identifiers.items()} if isinstance(identifiers, dict) else identifiers


class ParticipantMapping(Section):
    """One participant of the events of a `mapping` source; the values are JMESPath expressions."""

    entity: str = Field(description="A declared entity type.")
    role: str = Field("", description="The participant's part in the event, as it is written here.")
    identifiers: dict[str, str] = Field(
        default_factory=dict, description="Expression by identifier type; a list gives several identifiers."
    )
    traits: dict[str, str] = Field(default_factory=dict, description="Expression by trait name.")
    states: dict[str, str] = Field(default_factory=dict, description="Expression by state name.")


class MembershipMapping(Section):
    """One membership among the participants of an event."""

    member: int = Field(ge=0, description="Index of the member in `participants`.")
    group: int = Field(ge=0, description="Index of the group in `participants`.")
    role: str | None = Field(None, description="Expression for the member's role in the group.")
    ended: str | None = Field(None, description="Expression that is true when the membership has ended.")


class SourceSettings(Section):
    """A raw topic and the adapter that reads it."""

    topic: str = Field(description="The raw topic.")
    adapter: str = Field(description="A built-in name, or `package.module:function`.")
    payload: str | None = Field(None, description="Field of the record that holds the payload; a JSON string there is parsed.")
    event: dict[str, str] = Field(default_factory=dict, description="Expression by event field, for `mapping`.")
    participants: list[ParticipantMapping] = Field(default_factory=list, description="Participants, for `mapping`.")
    memberships: list[MembershipMapping] = Field(default_factory=list, description="Memberships among the participants, for `mapping`.")
    options: dict[str, Any] = Field(default_factory=dict, description="What the adapter itself understands.")
    significance: dict[str, int] = Field(
        default_factory=dict, description="How much its events matter, by event name, or else by type, where the adapter does not say."
    )


class TimeSettings(Section):
    """The window that event times must lie in."""

    earliest: str = Field("1970-01-01T00:00:00Z", description="RFC 3339; an event before it is rejected.")
    ahead_seconds: int = Field(86_400, ge=0, description="How far past its record's Kafka timestamp an event may lie.")


class WorkerSettings(Section):
    """How a worker works."""

    stages: list[Stage] = Field(default=["adapt", "resolve", "publish"], min_length=1, description="What this worker runs.")
    batch_records: int = Field(500, ge=1, le=10_000, description="Most records of one partition that are handled at once.")
    batch_bytes: int = Field(4 * 1024 * 1024, ge=64 * 1024, description="About the most bytes of one partition that are handled at once.")
    round_keys: int = Field(1000, ge=1, le=20_000, description="Most output keys that a shard writes in one transaction.")
    session_timeout_ms: int = Field(10_000, ge=1_000, description="A silent worker is taken for dead after this long.")
    drain_seconds: float = Field(20, ge=0, description="How long a stopping worker may finish what it began.")
    poll_ms: int = Field(200, ge=1, le=10_000, description="Longest wait for records or dirty keys before looking around.")
    stuck_seconds: float = Field(60, gt=0, description="A stage whose work makes no progress for so long is stuck: `/livez` says so.")
    admin_host: str = Field("127.0.0.1", min_length=1, description="Address that `/livez`, `/readyz` and `/metrics` are served on.")
    admin_port: int | None = Field(None, ge=1, le=65535, description="Port that they are served on; not served when left out.")
    log: Literal["text", "json"] = Field("text", description="Lines for people, or one JSON object a line; `--json` asks for the latter.")


class OutputSettings(Section):
    """What the output topics hold."""

    tombstones: bool = Field(default=False, description="Whether an id that ended is a tombstone instead of a document that says so.")


class TracingSettings(Section):
    """Spans of OpenTelemetry. Where they go, the standard variables of the environment say, such as `OTEL_EXPORTER_OTLP_ENDPOINT`."""

    enabled: bool = Field(
        default=False, description="Whether spans are made; a trace context in a record's headers is carried on in any case."
    )
    ratio: float = Field(0.01, ge=0, le=1, description="Part of the source records without a trace context that begin a trace.")


class StackSettings(Section):
    """The local stack of `nexus up`."""

    directory: Path = Field(Path(".nexus"), description="Data, logs and pid files.")
    kafka_port: int = Field(9092, ge=1, le=65535, description="Port of the local Kafka.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Port of the local Redis or Valkey.")
