"""docs/how-to/run-on-kubernetes.md: its commands and values, as far as they go without a cluster.

Helm's commands are run as `helm template` or `helm lint` with the very options; kubectl's must name files and objects that there are;
the commands that run in a pod are run by `test_worker`.
"""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.checks.rendering import EXAMPLES, ROOT, rendered, run, settings_of, tool

GUIDE = (ROOT / "docs/how-to/run-on-kubernetes.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINES = [line for kind, text in BLOCK.findall(GUIDE) if kind == "bash" for line in text.splitlines() if line]
VALUES = [text for kind, text in BLOCK.findall(GUIDE) if kind == "yaml"]
CHART = "deploy/chart/nexus-streams"

# What Strimzi makes of the guide's manifests: Secrets and their keys.
STRIMZIS = {("nexus-worker", "password"), ("nexus-topics", "password"), ("events-cluster-ca-cert", "ca.crt")}
VERBS = {"apply", "config", "create", "exec", "get", "logs", "rollout", "wait"}


def words(line: str) -> list[str]:
    return shlex.split(line)


def documents(path: Path) -> Iterator[dict[str, Any]]:
    yield from (one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one)


def test_every_line_is_a_command_that_is_looked_at() -> None:
    known = ("docker ", "helm ", "kubectl ", "password=$(openssl rand -hex 24)")
    assert [line for line in LINES if not line.startswith(known)] == []
    assert {kind for kind, _ in BLOCK.findall(GUIDE)} == {"bash", "yaml"}
    assert len(VALUES) >= 3


@pytest.mark.parametrize("line", [line for line in LINES if CHART in line])
def test_helms_options_render_the_chart(line: str) -> None:
    verb = words(line)[1]
    told = [word for word in words(line)[2:] if word not in {"--install", "--wait"}]
    if "--timeout" in told:
        del told[told.index("--timeout") : told.index("--timeout") + 2]
    command = [verb if verb in {"template", "lint"} else "template", *told, "--kube-version", "1.37"]
    said = run(tool("helm"), *command, cwd=ROOT)
    assert said.returncode == 0, said.stderr


def test_helms_other_commands_name_the_release_of_the_guide() -> None:
    others = [words(line) for line in LINES if line.startswith("helm ") and CHART not in line and "strimzi" not in line]
    assert {(verb, release) for _, verb, release, *_ in others} == {("test", "ids"), ("rollback", "ids"), ("uninstall", "ids")}


def block_objects(text: str, directory: Path) -> list[dict[str, Any]]:
    """Render one of the guide's blocks of values over the example's settings."""
    (directory / "values.yaml").write_text(text, encoding="utf-8")
    base = directory / "base.yaml"
    settings = yaml.safe_load((EXAMPLES / "values.yaml").read_text(encoding="utf-8"))["settings"]
    del settings["kafka"]["security"]
    base.write_text(yaml.safe_dump({"settings": settings}), encoding="utf-8")
    return rendered("--values", base, "--values", directory / "values.yaml")


@pytest.mark.parametrize("text", VALUES, ids=range(len(VALUES)))
def test_values_render_and_make_settings_that_nexus_takes(text: str, tmp_path: Path) -> None:
    objects = block_objects(text, tmp_path)
    for deployment in (one for one in objects if one["kind"] == "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        settings_of(objects, pod, pod["containers"][0], tmp_path)


def test_kubectl_names_files_and_objects_that_there_are() -> None:
    objects = rendered("--values", EXAMPLES / "values.yaml")
    there = {f"{one['kind']}/{one['metadata']['name']}".lower() for one in objects}
    for line in (one for one in LINES if one.startswith("kubectl ")):
        told = words(line)
        assert told[1] in VERBS, line
        for option, file in itertools.pairwise(told):
            if option in {"-f", "<"}:
                assert (ROOT / file).is_file(), line
            if option == "-f":
                there |= {f"{one['kind']}/{one['metadata']['name']}".lower() for one in documents(ROOT / file)}
        before_dashes = told[: told.index("--")] if "--" in told else told
        named = {word.replace("deploy/", "deployment/") for word in before_dashes if re.fullmatch(r"[a-z]+/[a-z][\w.-]+", word)}
        assert named <= there, line


def test_every_secret_that_is_asked_for_is_made_by_the_guide(tmp_path: Path) -> None:
    made = {found for line in LINES if line.startswith("kubectl create secret") for found in created(line)}
    way = [*rendered("--values", EXAMPLES / "values.yaml"), *documents(EXAMPLES / "valkey.yaml")]
    asked = {found for objects in (way, *(block_objects(text, tmp_path) for text in VALUES)) for found in _secret_keys(objects)}
    whole = {name for name, key in asked if not key}
    assert {(name, key) for name, key in asked if key} == {(name, key) for name, key in made | STRIMZIS if name not in whole}
    assert whole <= {name for name, _ in made}
    users = {one["metadata"]["name"] for one in documents(EXAMPLES / "users.yaml")}
    assert {name for name, key in STRIMZIS if key == "password"} == users


def created(line: str) -> Iterator[tuple[str, str]]:
    """Give the name and each key of a Secret that a command makes."""
    told = words(line)
    for word in told:
        option, _, value = word.partition("=")
        if option in {"--from-literal", "--from-file"}:
            yield told[4], value.partition("=")[0]


def _secret_keys(whole: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - any part of a manifest
    """Give the name and key of every Secret that a manifest asks for; without a key where it is mounted whole."""
    if isinstance(whole, dict):
        for one in [whole.get("secretKeyRef"), *(whole.get("secretTargetRef") or ())]:
            if one:
                yield one["name"], one["key"]
        if "secretName" in whole:
            yield from ((whole["secretName"], item["key"]) for item in whole.get("items", [{"key": ""}]))
        whole = list(whole.values())
    if isinstance(whole, list):
        for part in whole:
            yield from _secret_keys(part)
