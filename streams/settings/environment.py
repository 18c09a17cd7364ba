"""Environment variables over the settings file: `NEXUS__KAFKA__BOOTSTRAP_SERVERS=...`, or `..._FILE` with a file that holds the value.

Invariant: every variable that begins with `NEXUS__` is a setting or an error. Neighbours: `model` lays what
comes from here over the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource

from resolvers.errors import SettingsError
from streams.settings.problem import suggestion
from streams.settings.schema import annotation_at, container, keys_at, model_in

PREFIX = "nexus__"
DELIMITER = "__"
IN_A_FILE = "_file"
"""Ends the name of a variable that names a file with the value, as secrets are mounted."""


class _Variables(EnvSettingsSource):
    """Reads the variables it is given instead of the process's own."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(settings_cls, case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter=DELIMITER)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


def overlaid(document: Mapping[str, Any], environ: Mapping[str, str], settings_cls: type[BaseSettings]) -> dict[str, Any]:
    """Return the document with the variables laid over it, key by key; lists are replaced.

    Lists and mappings are JSON. Keys compare without case. Raises SettingsError with a line per variable that names
    no setting or holds broken JSON, and for a file that can't be read.
    """
    variables = _with_files({name: value for name, value in environ.items() if name.lower().startswith(PREFIX)}, settings_cls)
    wrong = [problem for name, value in variables.items() if (problem := _wrong(name, value, settings_cls))]
    if wrong:
        raise SettingsError("\n".join(wrong))
    return _merged(document, _Variables(settings_cls, variables)())


def _with_files(variables: Mapping[str, str], settings_cls: type[BaseSettings]) -> dict[str, str]:
    """Put what the files hold that variables name in the place of these, without the end of its last line. Raises SettingsError."""
    found: dict[str, str] = {}
    given = {name.lower() for name in variables}
    for name, value in variables.items():
        of = name[: -len(IN_A_FILE)]
        if not name.lower().endswith(IN_A_FILE) or _is_setting(name, settings_cls) or not _is_setting(of, settings_cls):
            found[name] = value
            continue
        if of.lower() in given:
            raise SettingsError(f"{name}: {of} is given too; leave one out")
        try:
            found[of] = Path(value).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{name}: the file {value} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return found


def _is_setting(name: str, settings_cls: type[BaseSettings]) -> bool:
    return annotation_at(settings_cls, name.lower().removeprefix(PREFIX).split(DELIMITER)) is not None


def _wrong(name: str, value: str, settings_cls: type[BaseSettings]) -> str | None:
    path = name.lower().removeprefix(PREFIX).split(DELIMITER)
    for depth in range(1, len(path) + 1):
        if annotation_at(settings_cls, path[:depth]) is None:
            known = keys_at(settings_cls, path[: depth - 1])
            allowed = (
                f"allowed: {', '.join(known)}{suggestion(path[depth - 1], known)}" if known else "the setting above it takes a single value"
            )
            return f"{name}: there is no setting {'.'.join(path[:depth])}; {allowed}"
    wanted = annotation_at(settings_cls, path)
    kind = dict if model_in(wanted) else container(wanted)
    if kind is not None and not _is_json(value, kind):
        return f"{name}: must be a JSON {'list' if kind is list else 'object'}"
    return None


def _is_json(value: str, kind: type) -> bool:
    try:
        return isinstance(json.loads(value), kind)
    except ValueError:
        return False


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    spelling = {key.lower(): key for key in below}
    for key, value in above.items():
        name = spelling.get(key, key)
        old = merged.get(name)
        merged[name] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged
