"""Validate manifests against the schemas of Kubernetes versions, and of the custom resources in deploy/checks/schemas.

    validate.py VERSIONS SCHEMAS FILE...        VERSIONS: 1.31,1.37; SCHEMAS: a folder of <kind>-<group>-<version>.json

Runs in the environment of the tools, which has kubernetes-validate and with it the schemas; strict: unknown fields are findings.
Prints one line for each finding, then how many objects were looked at; exits 1 when there was a finding.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource


@cache
def definitions(version: str) -> Any:  # noqa: ANN401 - referencing's own
    """Read what the schemas of one version refer to."""
    return Resource.from_contents(json.loads((built_in(version) / "_definitions.json").read_text(encoding="utf-8"))) @ Registry()


def built_in(version: str) -> Any:  # noqa: ANN401 - a Traversable
    """Give the folder of the schemas of one version."""
    return files("kubernetes_validate") / "kubernetes-json-schema" / f"v{version}.0-local-strict"


@cache
def validator(kind: str, api: str, version: str, own: Path) -> Draft202012Validator:
    """Make the validator of one kind. Raises FileNotFoundError where there is no schema."""
    group, _, short = api.rpartition("/")
    ours = own / f"{kind}-{group}-{short}.json".lower()
    if ours.exists():
        return Draft202012Validator(json.loads(ours.read_text(encoding="utf-8")))
    parts = [kind, group.split(".")[0], short] if group else [kind, short]
    schema = json.loads((built_in(version) / f"{'-'.join(parts)}.json".lower()).read_text(encoding="utf-8"))
    return Draft202012Validator(schema, registry=Resource.from_contents(schema) @ definitions(version))


def findings(document: dict[str, Any], version: str, own: Path) -> Iterator[str]:
    """Say what is wrong with one object."""
    kind, api = str(document.get("kind")), str(document.get("apiVersion"))
    name = f"{kind} {document.get('metadata', {}).get('name')}, Kubernetes {version}"
    try:
        checking = validator(kind, api, version, own)
    except FileNotFoundError:
        yield f"{name}: there is no schema of {api} {kind}"
        return
    for error in checking.iter_errors(document):
        yield f"{name}: {'.'.join(map(str, error.absolute_path))}: {error.message}"


def main(versions: str, schemas: str, *manifests: str) -> int:
    """Validate everything; gives the exit code."""
    looked_at, wrong = 0, 0
    for manifest in manifests:
        for document in yaml.safe_load_all(Path(manifest).read_text(encoding="utf-8")):
            for version in versions.split(",") if document else ():
                looked_at += 1
                for finding in findings(document, version, Path(schemas)):
                    wrong += 1
                    print(f"{manifest}: {finding}")
    print(f"{looked_at} objects looked at, {wrong} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
