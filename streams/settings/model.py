"""All settings together.

Invariant: a `Settings` that exists is valid, defaults are filled in, and it never changes. Neighbours: `sections`
holds the parts, `file` reads and writes it, and every stage is handed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Self

import yaml
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from resolvers.rules import default_prefix
from streams.settings.checks import disagreements
from streams.settings.problem import ProblemsFound
from streams.settings.sections import (
    EntitySettings,
    IdentifierSettings,
    KafkaSettings,
    OutputSettings,
    RedisSettings,
    SourceSettings,
    StackSettings,
    TimeSettings,
    TopicSettings,
    TracingSettings,
    WorkerSettings,
)
from streams.settings.states import StateSettings

DEVELOPMENT_KEY = "nexus-development-key"
"""The identity key for trying out; anyone who knows it can compute ids from identifiers."""

MOST_KEY_BYTES = blake2b.MAX_KEY_SIZE
"""A longer identity key is digested to so many bytes before it is used."""

SHARED_TOPICS = ("events", "commands", "dead-letters")
"""Topics that the spaces reading the same sources share."""

SPACE_TOPICS = ("entities", "identifiers", "memberships", "participants", "timeline")
"""The output topics, which each space has for itself."""


def _default_entities() -> dict[str, EntitySettings]:
    return {
        "person": EntitySettings(
            identifiers={
                "user_id": IdentifierSettings(),
                "email": IdentifierSettings(normalise="email"),
                "phone": IdentifierSettings(normalise="phone"),
                "anonymous_id": IdentifierSettings(),
            }
        ),
        "group": EntitySettings(
            identifiers={
                "domain": IdentifierSettings(normalise="domain"),
                "group_id": IdentifierSettings(),
                "shop_id": IdentifierSettings(),
            }
        ),
    }


class Settings(BaseSettings):
    """All settings of one space. Making one reads nothing; `load_settings` does."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, validate_default=True)

    # No dot: it parts a space's name from those of its topics, and Kafka takes dots and underscores for alike.
    space: str = Field(
        "default", pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$", description="Name of the identity graph: letters, digits, `_` and `-`."
    )
    identity_key: SecretStr = Field(
        SecretStr(DEVELOPMENT_KEY),
        min_length=1,
        description="Secret that ids are digested with, 16 characters or more; fixed at the birth of a space.",
    )
    partitions: int = Field(6, ge=1, le=10_000, description="Partitions of every topic that is made; fixed at the birth of a space.")
    topics: TopicSettings = Field(default_factory=TopicSettings, description="Names of the topics that nexus writes.")
    kafka: KafkaSettings = Field(default_factory=KafkaSettings, description="Where Kafka is.")
    redis: RedisSettings = Field(default_factory=RedisSettings, description="Where Redis or Valkey is.")
    entities: dict[str, EntitySettings] = Field(
        default_factory=_default_entities, min_length=1, description="Entity types; a person and a group when left out."
    )
    own_domains: list[str] = Field(
        default_factory=list, description="Domains that are our own, with all below them: events of nobody else are `internal`."
    )
    sources: dict[str, SourceSettings] = Field(default_factory=dict, description="Raw topics and how they are read.")
    states: list[StateSettings] = Field(default_factory=list, description="States: which values they may have, and where these come from.")
    times: TimeSettings = Field(default_factory=TimeSettings, description="The window that event times must lie in.")
    worker: WorkerSettings = Field(default_factory=WorkerSettings, description="How a worker works.")
    outputs: OutputSettings = Field(default_factory=OutputSettings, description="What the output topics hold.")
    tracing: TracingSettings = Field(default_factory=TracingSettings, description="Spans of OpenTelemetry.")
    stack: StackSettings = Field(default_factory=StackSettings, description="The local stack.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone, so that making settings has no hidden input."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    @field_validator("entities", mode="after")
    @classmethod
    def _fill_in(cls, entities: dict[str, EntitySettings]) -> dict[str, EntitySettings]:
        return {name: _filled(name, entity) for name, entity in entities.items()}

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems = disagreements(self)
        if problems:
            raise ProblemsFound(problems)
        return self

    @property
    def digest_key(self) -> bytes:
        """What ids are digested with: the identity key in UTF-8, digested itself where it is longer than a key of a digest may be."""
        key = self.identity_key.get_secret_value().encode("utf-8", "surrogatepass")
        return key if len(key) <= MOST_KEY_BYTES else blake2b(key, digest_size=MOST_KEY_BYTES).digest()

    @property
    def uses_development_key(self) -> bool:
        """Whether ids are digested with the key that everyone knows."""
        return self.identity_key.get_secret_value() == DEVELOPMENT_KEY

    def topic(self, name: str) -> str:
        """Return the Kafka topic called `name` in DESIGN's words (`entities`, `events`, `dead-letters` ...)."""
        if name in SHARED_TOPICS:
            return f"{self.topics.prefix}{name}"
        if name in SPACE_TOPICS:
            space = "" if self.space == "default" else f"{self.space}."
            return f"{self.topics.prefix}{space}{name}"
        raise KeyError(f"no topic is called {name!r}; there are {', '.join(SHARED_TOPICS + SPACE_TOPICS)}")

    def to_yaml(self) -> str:
        """Return these settings as a settings file, secrets in clear text: for private files only."""
        text: str = yaml.safe_dump(_plain(self.model_dump(exclude_none=True)), sort_keys=False, allow_unicode=True)
        return text


def _filled(name: str, entity: EntitySettings) -> EntitySettings:
    identifiers = {
        kind: identifier if identifier.priority is not None else identifier.model_copy(update={"priority": place})
        for place, (kind, identifier) in enumerate(entity.identifiers.items(), start=1)
    }
    return entity.model_copy(update={"identifiers": identifiers, "prefix": entity.prefix or default_prefix(name)})


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value) if isinstance(value, Path) else value
