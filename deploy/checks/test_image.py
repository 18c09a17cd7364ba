"""The image: its file, and what its installation steps made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from deploy.checks.image import DOCKERFILE, UNPRIVILEGED, Image
from deploy.checks.rendering import ROOT, run, tool
from deploy.runtime_lock import canonical, dependencies, entries, needed

SBOM = ROOT / "build/sbom.cdx.json"


def test_hadolint_has_nothing_to_say() -> None:
    said = run(tool("hadolint"), "--failure-threshold", "style", DOCKERFILE)
    assert (said.returncode, said.stdout) == (0, "")


def test_the_last_stage_is_no_root_and_in_exec_form_on_a_base_by_digest() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    bases = re.findall(r"^FROM (\S+) AS (\S+)", text, re.MULTILINE)
    outside = [image for image, _ in bases if image not in {name for _, name in bases}]
    assert len(outside) == 1
    assert re.fullmatch(r"python:3\.13\.\d+-slim-trixie@sha256:[0-9a-f]{64}", outside[0])
    last = text[text.rindex("\nFROM ") :]
    assert "\nUSER 65532:65532\n" in last
    assert '\nENTRYPOINT ["nexus"]\nCMD ["worker", "--json"]\n' in last
    assert 'CMD ["nexus", "health", "--live"]' in last


def test_the_version_is_told_and_the_settings_are_checked_with_nothing_to_write_to(image: Image) -> None:
    assert image.nexus("--version").stdout == "nexus 0.1.0\n"
    written = run(*UNPRIVILEGED, "touch", image.context / "written", image.environment / "written")
    assert written.returncode == 1, "the check itself is wrong: what should be read-only was written to"
    said = image.nexus("check", "--json", "--config", "streams/samples/nexus.yaml", NEXUS__WORKER__ADMIN_PORT="8080")
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["ok"] is True


def test_the_project_comes_from_the_environment_and_not_from_the_source_tree(image: Image) -> None:
    said = run(image.environment / "bin/python", "-P", "-c", "import streams; print(streams.__file__)", cwd=image.context)
    assert Path(said.stdout.strip()).is_relative_to(image.environment)


def test_what_is_installed_is_the_locks_part_for_a_worker(image: Image) -> None:
    lock = needed((ROOT / "requirements.lock").read_text(encoding="utf-8"), dependencies(ROOT / "pyproject.toml"))
    locked = {name: pin[1] for name, block in entries(lock).items() if (pin := re.match(r"\S+==(\S+)", block))}
    listing = "import importlib.metadata as m; print('\\n'.join(f'{d.name} {d.version}' for d in m.distributions()))"
    said = run(image.environment / "bin/python", "-P", "-c", listing)
    installed = {canonical(name): version for name, version in (line.split() for line in said.stdout.splitlines())}
    assert installed.pop("nexus-streams") == "0.1.0"
    assert installed.items() <= locked.items()
    left_out = locked.keys() - installed.keys()
    assert all(" ; " in entries(lock)[name].splitlines()[0] for name in left_out), f"not for this system or Python: {left_out}"
    assert not {"pip", "pytest", "ruff", "mypy", "setuptools"} & installed.keys()


def test_a_bill_of_materials_names_all_that_is_installed(image: Image, not_checked: Callable[[str], None]) -> None:
    SBOM.parent.mkdir(exist_ok=True)
    options: list[str | Path] = ["--no-validate", "--pyproject", ROOT / "pyproject.toml", "--mc-type", "application"]
    options += ["--output-reproducible", "--sv", "1.6", "-o", SBOM]
    said = run(tool("cyclonedx-py"), "environment", *options, image.environment / "bin/python")
    assert said.returncode == 0, said.stderr
    bill = json.loads(SBOM.read_text(encoding="utf-8"))
    named = {one["name"] for one in bill["components"]}
    listing = "import importlib.metadata as m; print('\\n'.join(d.name for d in m.distributions()))"
    installed = set(run(image.environment / "bin/python", "-P", "-c", listing).stdout.split())
    assert {canonical(name) for name in named} == {canonical(name) for name in installed} - {"nexus-streams"}
    not_checked("the bill of materials (build/sbom.cdx.json) is of the Python packages; Debian's in the base image are not in it")
