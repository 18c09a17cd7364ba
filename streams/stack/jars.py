"""Kafka's jars: fetched once by Maven from our `pom.xml` into a cache outside the repository, and Java to run them.

Invariant: a directory with its final name in the cache is complete; a fetch that is interrupted leaves only a temporary one.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from resolvers.errors import StackError

POM = Path(__file__).with_name("pom.xml")
OLDEST_JAVA = 17
FETCH_LIMIT_SECONDS = 900.0
WAY_OUT = (
    "install it, or set NEXUS__KAFKA__BOOTSTRAP_SERVERS and NEXUS__REDIS__URL to an existing Kafka and Redis "
    "(`docker compose up` gives 127.0.0.1:9092 and redis://127.0.0.1:6379/0)"
)


def kafka_version() -> str:
    """Return the version of Kafka that our `pom.xml` pins."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text(encoding="utf-8"))
    if found is None:
        raise StackError(f"{POM} names no kafka.version")
    return found.group(1)


def cache_directory() -> Path:
    """Return where jars are kept: NEXUS_CACHE, else `nexus-streams` in the user's cache directory."""
    own = os.environ.get("NEXUS_CACHE")
    if own:
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "nexus-streams"


def java() -> str:
    """Return the path of a Java that can run Kafka: JAVA_HOME's, else the one on PATH."""
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=f"{home}/bin") if home else None
    program = program or shutil.which("java")
    if program is None:
        raise StackError(f"Java {OLDEST_JAVA} or newer is missing: {WAY_OUT}")
    said = subprocess.run([program, "-version"], check=False, capture_output=True, text=True).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', said)
    if found is None or int(found.group(1)) < OLDEST_JAVA:
        raise StackError(f"{program} is not Java {OLDEST_JAVA} or newer: {WAY_OUT}")
    return program


def kafka_jars(report: Callable[[str], None]) -> Path:
    """Return the directory of Kafka's jars, fetching them first if the cache has none for our `pom.xml`.

    Several callers may fetch at once; one result wins and all are the same.
    """
    digest = hashlib.blake2b(POM.read_bytes(), digest_size=4).hexdigest()
    kept = cache_directory() / f"kafka-{kafka_version()}-{digest}"
    if kept.is_dir():
        return kept
    maven = shutil.which("mvn")
    if maven is None:
        raise StackError(f"Maven (mvn), which fetches Apache Kafka the first time, is missing: {WAY_OUT}")
    report(f"fetching Apache Kafka {kafka_version()} with Maven into {kept} (only the first time)")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{kept.name}.", dir=kept.parent) as workshop:
            _keep(_fetch(maven, Path(workshop)), kept)
    except OSError as error:
        raise StackError(f"the cache {kept.parent} cannot be used ({error}): set NEXUS_CACHE to a directory that can be written") from error
    return kept


def _fetch(maven: str, workshop: Path) -> Path:
    """Run Maven on a copy of our `pom.xml` and return the directory that it filled."""
    shutil.copy(POM, workshop / "pom.xml")
    jars = workshop / "jars"
    command = [maven, "-B", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={jars}", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(command, cwd=workshop, check=False, capture_output=True, text=True, timeout=FETCH_LIMIT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise StackError(f"Maven did not fetch Apache Kafka within {FETCH_LIMIT_SECONDS:.0f} s: is its repository reachable?") from error
    if done.returncode != 0 or not any(jars.glob("kafka_*.jar")):
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
        raise StackError(f"Maven could not fetch Apache Kafka {kafka_version()} (exit {done.returncode}); it said:\n{tail}")
    return jars


def _keep(jars: Path, kept: Path) -> None:
    """Give the fetched directory its final name, unless another process was first."""
    try:
        jars.rename(kept)
    except OSError:
        if not kept.is_dir():
            raise
