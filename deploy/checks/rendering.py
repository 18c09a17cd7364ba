"""The chart as Helm renders it, the settings that a container of it would have, and the files that are made of the chart.

Invariant: nothing is asked of a cluster. Neighbours: the checks of this folder; `write` writes what they compare with.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from streams.settings import Settings, load_settings
from streams.settings.file import settings_from
from streams.topics import CreateTopic, plan

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy/chart/nexus-streams"
EXAMPLES = ROOT / "deploy/examples"
CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
GOLDEN = Path(__file__).parent / "golden"
SCHEMAS = Path(__file__).parent / "schemas"

OLDEST, NEWEST = "1.31", "1.37"
"""The versions of Kubernetes that the chart is for: kubeVersion in Chart.yaml, and the newest that there are schemas of."""

RELEASE, NAMESPACE = "ids", "streams"


def tool(name: str) -> Path:
    """Give a program of `scripts/deploy-tools`, which `make deploy-check` names in NEXUS_DEPLOY_TOOLS."""
    return Path(os.environ["NEXUS_DEPLOY_TOOLS"]) / "bin" / name


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:  # noqa: ANN401 - subprocess's own
    """Run a program and give what it said; its exit code is the caller's to judge."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)


def template(*arguments: str | Path, version: str = NEWEST) -> subprocess.CompletedProcess[str]:
    """Render the chart."""
    return run(tool("helm"), "template", RELEASE, CHART, "--namespace", NAMESPACE, "--kube-version", version, *arguments)


def rendered(*arguments: str | Path, version: str = NEWEST) -> list[dict[str, Any]]:
    """Render the chart into objects. Raises AssertionError with Helm's words when it can't."""
    said = template(*arguments, version=version)
    assert said.returncode == 0, said.stderr
    return [one for one in yaml.safe_load_all(said.stdout) if one]


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every pod that the objects are or make, with a name for people."""
    for one in objects:
        name = f"{one['kind']} {one['metadata']['name']}"
        if one["kind"] == "Pod":
            yield name, one["spec"]
        elif "template" in one.get("spec", {}):
            yield name, one["spec"]["template"]["spec"]


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """Give a container's own variables; what comes from a Secret is made up, and what is not nexus's is left out."""
    made_up = {"NEXUS__REDIS__URL": "rediss://default:secret@valkey:6379/0"}
    found = {one["name"]: one.get("value", made_up.get(one["name"], "a secret of the cluster")) for one in container["env"]}
    return {name: value for name, value in found.items() if name.startswith("NEXUS__")}


def settings_of(objects: list[dict[str, Any]], pod: Mapping[str, Any], container: Mapping[str, Any], directory: Path) -> Settings:
    """Load the settings as the container would, from the ConfigMap that it mounts and its variables. Raises SettingsError."""
    volume = next(one for one in pod["volumes"] if one["name"] == "settings")
    mounted = volume["configMap"]["name"]
    config = next(one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == mounted)
    file = directory / "nexus.yaml"
    file.write_text(config["data"]["nexus.yaml"], encoding="utf-8")
    return load_settings(file, environment(container))


def golden(case: Path) -> str:
    """Render what is kept of a case: everything, for the newest Kubernetes."""
    said = template("--values", case)
    assert said.returncode == 0, said.stderr
    return said.stdout


ROW = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z][\w]*):")


def described(text: str) -> Iterator[tuple[str, str, Any]]:
    """Give each value of values.yaml that has a `# --` line: its path, its default and what it means, in order."""
    defaults = yaml.safe_load(text)
    path: list[str] = []
    meaning = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("# -- "):
            meaning = stripped.removeprefix("# -- ")
        elif found := ROW.match(line):
            path = [*path[: len(found["indent"]) // 2], found["key"]]
            if meaning:
                value = defaults
                for key in path:
                    value = value[key]
                yield ".".join(path), meaning, value
            meaning = ""


def values_table() -> str:
    """Write the table of values as Markdown."""
    lines = ["| value | default | meaning |", "|---|---|---|"]
    for path, meaning, value in described((CHART / "values.yaml").read_text(encoding="utf-8")):
        shown = yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
        lines.append(f"| `{path}` | `{shown}` | {meaning} |")
    return "\n".join(lines) + "\n"


BEGIN, END = "<!-- values: begin -->\n", "<!-- values: end -->\n"


def readme() -> str:
    """Give the chart's README with the table as it should be."""
    text = (CHART / "README.md").read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{values_table()}\n{END}{after}"


def example_settings() -> Settings:
    """Give the settings of the example values, with a password made up."""
    document = yaml.safe_load((EXAMPLES / "values.yaml").read_text(encoding="utf-8"))["settings"]
    document["kafka"]["security"]["password"] = "a secret of the cluster"  # noqa: S105 - of no server
    return settings_from(document)


TOPICS_HEAD = """\
# The topics of the settings in values.yaml as manifests, for those who keep topics this way: with `topics.enabled: false` the
# chart's job is not needed, nor is the user nexus-topics. Written by `make chart-docs`.
"""


def topics() -> str:
    """Write as Strimzi's manifests what `nexus topics apply` would make for the example values."""
    wanted = [change for change in plan(example_settings(), {}) if isinstance(change, CreateTopic)]
    return TOPICS_HEAD + yaml.safe_dump_all(
        (
            {
                "apiVersion": "kafka.strimzi.io/v1",
                "kind": "KafkaTopic",
                "metadata": {"name": one.name, "labels": {"strimzi.io/cluster": "events"}},
                "spec": {"partitions": one.partitions, "config": dict(one.config)},
            }
            for one in wanted
        ),
        sort_keys=False,
    )
