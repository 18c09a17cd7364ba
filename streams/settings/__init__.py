"""The settings: one file, `nexus.yaml`, with environment variables `NEXUS__...` over it.

Invariant: unknown keys are errors, and a message names the key, the value and what is allowed. Neighbours: every
stage is handed a `Settings`; only `load_settings` reads the file and the environment.
"""

from __future__ import annotations

from streams.settings.file import load_settings, settings_from, write_settings
from streams.settings.model import DEVELOPMENT_KEY, SHARED_TOPICS, SPACE_TOPICS, Settings
from streams.settings.sections import (
    EntitySettings,
    HubSettings,
    IdentifierSettings,
    KafkaSettings,
    MembershipMapping,
    OutputSettings,
    ParticipantMapping,
    RedisSettings,
    SecuritySettings,
    SourceSettings,
    StackSettings,
    TimeSettings,
    TopicSettings,
    TracingSettings,
    TraitSettings,
    WorkerSettings,
)
from streams.settings.states import StateSettings

__all__ = [
    "DEVELOPMENT_KEY",
    "SHARED_TOPICS",
    "SPACE_TOPICS",
    "EntitySettings",
    "HubSettings",
    "IdentifierSettings",
    "KafkaSettings",
    "MembershipMapping",
    "OutputSettings",
    "ParticipantMapping",
    "RedisSettings",
    "SecuritySettings",
    "Settings",
    "SourceSettings",
    "StackSettings",
    "StateSettings",
    "TimeSettings",
    "TopicSettings",
    "TracingSettings",
    "TraitSettings",
    "WorkerSettings",
    "load_settings",
    "settings_from",
    "write_settings",
]
