"""The chart: linted, rendered over a matrix of values, valid, restricted, and as it was when someone last looked at it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.checks.rendering import (
    CASES,
    CHART,
    EXAMPLES,
    GOLDEN,
    NEWEST,
    OLDEST,
    ROOT,
    SCHEMAS,
    described,
    golden,
    pods,
    readme,
    rendered,
    run,
    settings_of,
    template,
    tool,
    topics,
)
from streams.probing import admin_url
from streams.running import GRACE_SECONDS

DEFAULT = ("--values", CASES[0].parent / "default.yaml")
REWRITE = "write it anew: make chart-docs"

# A rendering takes one value of each row.
MATRIX: dict[str, list[dict[str, Any]]] = {
    "roles": [
        {},
        {"roles": {"all": {"enabled": False}, "adapt": {"enabled": True}, "resolve": {"enabled": True}, "publish": {"enabled": True}}},
        {"roles": {"most": {"enabled": True, "stages": ["resolve", "publish"]}, "all": {"enabled": False}, "adapt": {"enabled": True}}},
    ],
    "scaling": [{}, {"worker": {"autoscaling": {"hpa": {"enabled": True}}}}],
    "network": [{}, {"networkPolicy": {"enabled": False}}],
    "job": [{}, {"topics": {"enabled": False}}],
    "tests": [{}, {"tests": {"enabled": False}}],
    "account": [{}, {"serviceAccount": {"create": False}}],
    "redis": [{}, {"secrets": {"redisUrl": {"name": "redis"}}}],
}


def combinations() -> list[dict[str, Any]]:
    """Choose renderings so that every two values of different rows meet in one of them: the best first, until none is left."""
    every = list(itertools.product(*(range(len(row)) for row in MATRIX.values())))
    meetings = {one: set(itertools.combinations(enumerate(one), 2)) for one in every}
    left, chosen = set().union(*meetings.values()), []
    while left:
        best = max(every, key=lambda one: len(meetings[one] & left))
        chosen.append(best)
        left -= meetings[best]
    rows = list(MATRIX.values())
    return [{key: value for row, index in zip(rows, one, strict=True) for key, value in row[index].items()} for one in chosen]


@pytest.fixture(scope="module")
def renderings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Render every case for both versions, and the combinations of the matrix for one."""
    directory = tmp_path_factory.mktemp("values")
    found = {f"{case.stem}-{version}": rendered("--values", case, version=version) for case in CASES for version in (OLDEST, NEWEST)}
    found["example"] = rendered("--values", EXAMPLES / "values.yaml")
    for number, values in enumerate(combinations()):
        file = directory / f"{number}.yaml"
        file.write_text(yaml.safe_dump(values), encoding="utf-8")
        found[f"matrix {json.dumps(values)}"] = rendered(*DEFAULT, "--values", file, version=(OLDEST, NEWEST)[number % 2])
    return found


@pytest.mark.parametrize("case", [*CASES, EXAMPLES / "values.yaml"], ids=lambda case: case.stem)
def test_helm_lint_has_nothing_to_say(case: Path) -> None:
    said = run(tool("helm"), "lint", "--strict", "--quiet", CHART, "--values", case)
    assert (said.returncode, said.stdout) == (0, "")


def test_every_rendering_is_valid_in_the_oldest_and_the_newest_kubernetes(
    renderings: dict[str, list[dict[str, Any]]], tmp_path: Path
) -> None:
    unique = {yaml.safe_dump(one) for objects in renderings.values() for one in objects}
    (tmp_path / "all.yaml").write_text("\n---\n".join(sorted(unique)), encoding="utf-8")
    said = run(tool("python"), ROOT / "deploy/tools/validate.py", f"{OLDEST},{NEWEST}", SCHEMAS, tmp_path / "all.yaml")
    assert said.returncode == 0, said.stdout + said.stderr
    assert said.stdout == f"{2 * len(unique)} objects looked at, 0 findings\n"


def test_a_wrong_field_is_a_finding(tmp_path: Path) -> None:
    objects = rendered(*DEFAULT)
    deployment = next(one for one in objects if one["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(deployment), encoding="utf-8")
    said = run(tool("python"), ROOT / "deploy/tools/validate.py", NEWEST, SCHEMAS, tmp_path / "wrong.yaml")
    assert said.returncode == 1
    assert "livenessProb" in said.stdout


def test_every_pod_fits_the_restricted_standard_and_has_no_token(renderings: dict[str, list[dict[str, Any]]]) -> None:
    for name, pod in (found for objects in renderings.values() for found in pods(objects)):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert all({"configMap", "emptyDir", "secret"} & volume.keys() for volume in pod["volumes"]), name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"].keys() == {"requests", "limits"}, name
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"], name


def test_every_pod_has_settings_that_nexus_takes(renderings: dict[str, list[dict[str, Any]]], tmp_path: Path) -> None:
    for objects in renderings.values():
        for name, pod in pods(objects):
            for container in pod["containers"]:
                settings = settings_of(objects, pod, container, tmp_path)
                if name.startswith("Deployment"):
                    assert settings.worker.drain_seconds + GRACE_SECONDS < pod["terminationGracePeriodSeconds"]
                    assert container["ports"] == [{"name": "admin", "containerPort": settings.worker.admin_port}]
                    assert admin_url(settings) == "http://127.0.0.1:8080"
                if name == "Pod ids-nexus-streams-test":
                    assert admin_url(settings) == "http://ids-nexus-streams-admin:8080"


def test_a_selector_finds_the_pods_of_its_role_and_no_others() -> None:
    objects = rendered("--values", CASES[0].parent / "apart.yaml")
    deployments = {one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "Deployment"}
    assert sorted(deployments) == ["ids-nexus-streams-adapt", "ids-nexus-streams-publish", "ids-nexus-streams-resolve"]
    for name, spec in deployments.items():
        matching = [
            other
            for other, theirs in deployments.items()
            if spec["selector"]["matchLabels"].items() <= theirs["template"]["metadata"]["labels"].items()
        ]
        assert matching == [name]
    assert "replicas" not in deployments["ids-nexus-streams-resolve"]
    assert deployments["ids-nexus-streams-publish"]["replicas"] == 3
    assert deployments["ids-nexus-streams-resolve"]["template"]["spec"]["terminationGracePeriodSeconds"] == 55


def test_the_topics_job_comes_first_and_holds_kafkas_secrets_alone() -> None:
    job = next(one for one in rendered("--values", CASES[0].parent / "keda.yaml") if one["kind"] == "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"]["name"] for one in _env(job) if "valueFrom" in one}
    assert secrets == {
        "NEXUS__KAFKA__SECURITY__USERNAME": "nexus-topics",
        "NEXUS__KAFKA__SECURITY__PASSWORD": "nexus-topics",
    }


def _env(job: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return found


def test_keda_looks_at_the_groups_and_topics_of_the_settings(tmp_path: Path) -> None:
    from streams.kafka import group_id  # noqa: PLC0415 - beside what it is compared with

    objects = rendered("--values", CASES[0].parent / "keda.yaml")
    pod = next(pod for name, pod in pods(objects) if name.startswith("Deployment"))
    settings = settings_of(objects, pod, pod["containers"][0], tmp_path)
    scaled = next(one for one in objects if one["kind"] == "ScaledObject")
    looked_at = {(one["metadata"]["topic"], one["metadata"]["consumerGroup"]) for one in scaled["spec"]["triggers"]}
    assert looked_at == {
        *((source.topic, group_id(settings, "adapt")) for source in settings.sources.values()),
        (settings.topic("events"), group_id(settings, "resolve")),
    }


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("worker.replicaz=2", "replicaz"),
        ("roles.adapt.stages[0]=adopt", "'adapt', 'resolve', 'publish'"),
        ("roles.all.enabled=false", "there would be no worker"),
        ("secrets.identityKey.name=", "secrets.identityKey.name: name the Secret"),
        ("settings.identity_key=shown-to-all", "settings.identity_key: everyone"),
        ("settings.kafka.security.password=x", "settings.kafka.security.password: everyone"),
        ("settings.redis.url=redis://:x@valkey:6379/0", "settings.redis.url: has a password"),
        ("settings.worker.drain_seconds=60", "settings.worker.drain_seconds: the chart sets it"),
        ("worker.autoscaling.hpa.enabled=true,worker.autoscaling.keda.enabled=true", "enable one"),
        ("roles.publish.enabled=true,roles.publish.autoscaling.keda.enabled=true", "KEDA has no lag to go by"),
        (
            "worker.autoscaling.keda.enabled=true,settings.kafka.security.protocol=SASL_SSL,settings.kafka.security.mechanism=OAUTHBEARER",
            "KEDA is not told here how to log in with OAUTHBEARER",
        ),
        ("image.digest=latest", "digest"),
        ("podMonitor.enabled=true", "networkPolicy.adminPeers; name its pods"),
        ("worker.overrides.NEXUS__WORKER__DRAIN_SECONDS=600", "worker.overrides.NEXUS__WORKER__DRAIN_SECONDS: the chart sets it"),
        ("roles.all.overrides.NEXUS__WORKER__STAGES=[]", "roles.all.overrides.NEXUS__WORKER__STAGES: the chart sets it"),
        ("worker.overrides.NEXUS__IDENTITY_KEY=shown-to-all", "worker.overrides.NEXUS__IDENTITY_KEY: everyone"),
        ("worker.overrides.NEXUS__KAFKA=shown-to-all", "worker.overrides.NEXUS__KAFKA: everyone"),
        ("worker.overrides.NEXUS__KAFKA__SECURITY__CA_FILE=/ca.crt", "NEXUS__KAFKA__SECURITY__CA_FILE: the chart sets it"),
        (
            "worker.extraEnv[0].name=nexus__worker__stages,worker.extraEnv[0].value=[]",
            "worker.extraEnv: nexus__worker__stages: the chart sets it",
        ),
        (
            "roles.all.extraEnv[0].name=NEXUS__REDIS__URL,roles.all.extraEnv[0].value=redis://:x@valkey",
            "roles.all.extraEnv: NEXUS__REDIS__URL: everyone",
        ),
        (
            "topics.extraEnv[0].name=NEXUS__KAFKA__SECURITY__PASSWORD,topics.extraEnv[0].value=x",
            "topics.extraEnv: NEXUS__KAFKA__SECURITY__PASSWORD: everyone",
        ),
    ],
)
def test_wrong_values_are_refused_with_a_reason(values: str, words: str) -> None:
    said = template(*DEFAULT, "--set", values)
    assert said.returncode != 0
    assert words in said.stderr


@pytest.mark.parametrize(
    "values",
    [
        "podMonitor.enabled=true,networkPolicy.enabled=false",
        "worker.overrides.NEXUS__WORKER__BATCH_RECORDS=1000",
        "worker.extraEnv[0].name=NEXUS__REDIS__URL,worker.extraEnv[0].valueFrom.secretKeyRef.name=r,worker.extraEnv[0].valueFrom.secretKeyRef.key=k",
        "worker.extraEnv[0].name=NEXUS__REDIS__URL_FILE,worker.extraEnv[0].value=/vault/redis-url",
    ],
)
def test_what_is_like_wrong_values_and_right_is_rendered(values: str) -> None:
    assert template(*DEFAULT, "--set", values).returncode == 0


def test_what_the_chart_sets_is_refused_as_an_override() -> None:
    objects = [one for case in CASES for one in rendered("--values", case) if one["kind"] == "Deployment"]
    own = {one["name"] for deployment in objects for one in _env(deployment)} - {"NEXUS_CONFIG", "PYTHONPATH", "NEXUS__WORKER__ROUND_KEYS"}
    assert len(own) >= 12
    for name in own:
        assert name in template(*DEFAULT, "--set", f"worker.overrides.{name}=x").stderr


def test_an_older_kubernetes_is_refused() -> None:
    said = template(*DEFAULT, version="1.30")
    assert said.returncode != 0
    assert "kubeVersion: >=1.31" in said.stderr


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_what_is_rendered_is_what_someone_looked_at(case: Path) -> None:
    assert (GOLDEN / case.name).read_text(encoding="utf-8") == golden(case), REWRITE


def test_the_readme_and_the_examples_topics_are_up_to_date() -> None:
    assert (CHART / "README.md").read_text(encoding="utf-8") == readme(), REWRITE
    assert (EXAMPLES / "topics.yaml").read_text(encoding="utf-8") == topics(), REWRITE


def test_every_value_is_described_and_in_the_schema() -> None:
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    told = {path for path, _, _ in described(text)}
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    known = set(_leaves(schema, schema, ()))
    untold = {path for path in known if not any(path == one or path.startswith(f"{one}.") for one in told)}
    not_in_values = {"global", *(path for path in untold if path.startswith("roles."))}
    probes = {path for path in untold if "Probe." in path}
    assert untold - not_in_values - probes == set()
    assert {path for path in told if path not in known and not any(one.startswith(f"{path}.") for one in known)} == set()


def _leaves(schema: dict[str, Any], whole: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    while "$ref" in schema:
        target = whole
        for part in schema["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        schema = target
    if "properties" not in schema:
        return [".".join(path)]
    return [leaf for key, below in schema["properties"].items() for leaf in _leaves(below, whole, (*path, key))]


def test_the_example_manifests_are_valid() -> None:
    manifests = sorted(one for one in EXAMPLES.glob("*.yaml") if one.name != "values.yaml")
    said = run(tool("python"), ROOT / "deploy/tools/validate.py", f"{OLDEST},{NEWEST}", SCHEMAS, *manifests)
    assert said.returncode == 0, said.stdout + said.stderr
    assert [one.name for one in manifests] == ["kafka.yaml", "topics.yaml", "users.yaml", "valkey.yaml"]


def test_the_charts_version_is_the_projects() -> None:
    import tomllib  # noqa: PLC0415 - used here alone

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    dockerfile = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert chart["appVersion"] == project
    assert f"ARG VERSION={project}\n" in dockerfile
