"""The settings file, `nexus.yaml`, read with environment variables over it, and written for a child process.

Invariant: nothing else reads the file or the environment. Neighbours: `model` checks what is read here.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from resolvers.errors import SettingsError
from streams.settings.environment import overlaid
from streams.settings.model import Settings
from streams.settings.problems import describe

DEFAULT_FILE = Path("nexus.yaml")
"""Read from the working directory when no file is named."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key given twice, and leaves times the text that they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to say it
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Make a mapping of a node. Raises ConstructorError for a key that is there twice."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def settings_from(document: Mapping[str, Any], where: str = "settings") -> Settings:
    """Make settings from a document; `where` begins the message. Raises SettingsError with a line per problem."""
    try:
        return Settings(**document)
    except ValidationError as error:
        raise SettingsError(describe(error, Settings, where)) from error


def load_settings(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings file and lay `NEXUS__...` variables over it.

    Without `path`, the file that NEXUS_CONFIG names, else `nexus.yaml` if it is there, else only defaults.
    Raises SettingsError with a line per problem.
    """
    environ = os.environ if environ is None else environ
    if path is None:
        named = environ.get("NEXUS_CONFIG")
        path = Path(named) if named else DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    document = {} if path is None else _read(path)
    where = str(path or "settings") + (" and NEXUS__ variables" if any(name.upper().startswith("NEXUS__") for name in environ) else "")
    return settings_from(overlaid(document, environ, Settings), where)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - made of the safe one
    except OSError as error:
        raise SettingsError(f"{path}: the settings file cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the settings file is not YAML: {' '.join(str(error).split())}") from error
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise SettingsError(f"{path}: the settings file must be a mapping of sections")
    return document


def write_settings(settings: Settings, path: Path) -> None:
    """Write a settings file that only its owner can read; it holds the secrets."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(settings.to_yaml())
