"""The image without an engine: what its installation steps make, where commands find nothing to write to but /tmp.

Invariant: the steps are those of deploy/Dockerfile, and what they see is what its ignore file lets in.
Neighbours: `test_image` looks at what was made, `test_worker` runs a worker in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.checks.rendering import ROOT, run
from deploy.runtime_lock import dependencies, needed

DOCKERFILE = ROOT / "deploy/Dockerfile"
PYTHON = "3.13"

# As root, the rights of files count only without capabilities, which the chart's pods do not have either.
UNPRIVILEGED = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "--no-new-privs"] if os.geteuid() == 0 else []


@dataclass(frozen=True)
class Image:
    """What the installation steps made: the environment, a folder that stands for /tmp, and the build context."""

    environment: Path
    tmp: Path
    context: Path

    def command(self, *arguments: str) -> list[str]:
        """Give the image's entry point with arguments, without the rights that no container has."""
        return [*UNPRIVILEGED, str(self.environment / "bin" / "nexus"), *arguments]

    def variables(self) -> dict[str, str]:
        """Give the variables of the Dockerfile's last stage."""
        return {"PATH": f"{self.environment}/bin:/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(self.tmp)}

    def nexus(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of nexus to its end."""
        return run(*self.command(*arguments), env=self.variables() | variables, cwd=self.context)


def base_python() -> tuple[str, str]:
    """Find the Python that is nearest to the image's, and its version."""
    for candidate in (f"python{PYTHON}", str(Path(sys.base_prefix) / "bin/python3")):
        said = (
            run(candidate, "-c", "import venv, ensurepip, sys; print('%d.%d' % sys.version_info[:2])") if shutil.which(candidate) else None
        )
        if said and said.returncode == 0:
            return candidate, said.stdout.strip()
    raise AssertionError("there is no Python")


@contextmanager
def installed(directory: Path, not_checked: Callable[[str], None]) -> Iterator[Image]:
    """Run the Dockerfile's installation steps on what its ignore file lets in, then take the right to write away."""
    found = Image(directory / "opt/nexus", directory / "tmp", directory / "build")
    found.tmp.mkdir()
    _copy_context(found.context)
    python, version = base_python()
    if version != PYTHON:
        not_checked(f"the image has Python {PYTHON}; its installation steps were run with {version}")
    steps = [json.loads(found) for found in re.findall(r"^RUN (\[.*\])$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)]
    assert [step[1:] for step in steps] == [["dependencies", "python3", "/opt/nexus"], ["project", "python3", "/opt/nexus"]]
    shutil.copytree(_dependencies(found.context / steps[0][0], python), found.environment, symlinks=True)
    _succeed(found.context / steps[1][0], "project", python, found.environment)
    for folder in (found.environment, found.context):
        run("chmod", "-R", "a-w", folder)
    try:
        yield found
    finally:
        for folder in (found.environment, found.context):
            run("chmod", "-R", "u+w", folder)
        shutil.rmtree(directory, ignore_errors=True)


def _copy_context(context: Path) -> None:
    for line in (ROOT / "deploy/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines():
        if line.startswith("!"):
            source, target = ROOT / line[1:], context / line[1:]
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, target)


def _dependencies(install: Path, python: str) -> Path:
    """Run the first step where its outcome stays: beside the tools, by all that it depends on, as a layer of an image would."""
    lock = needed((ROOT / "requirements.lock").read_text(encoding="utf-8"), dependencies(ROOT / "pyproject.toml"))
    known = hashlib.sha256((lock + install.read_text(encoding="utf-8") + str(shutil.which(python))).encode()).hexdigest()[:16]
    tools = Path(os.environ["NEXUS_DEPLOY_TOOLS"])
    kept = tools.parent / f"{tools.name}-image-{known}"
    if not (kept / "complete").exists():
        shutil.rmtree(kept, ignore_errors=True)
        _succeed(install, "dependencies", python, kept / "nexus")
        (kept / "complete").touch()
    return kept / "nexus"


def _succeed(install: Path, step: str, python: str, directory: Path) -> None:
    said = run(install, step, python, directory, cwd=install.parents[1])
    assert said.returncode == 0, said.stdout + said.stderr
