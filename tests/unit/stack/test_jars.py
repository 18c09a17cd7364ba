from __future__ import annotations

from pathlib import Path

import pytest

from resolvers.errors import StackError
from streams.stack import jars


def test_the_pom_pins_one_version_of_kafka_four() -> None:
    assert jars.kafka_version().startswith("4.")


def test_the_cache_is_where_nexus_cache_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_CACHE", str(tmp_path / "own"))
    assert jars.cache_directory() == tmp_path / "own"


def test_the_cache_is_in_the_users_cache_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NEXUS_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.cache_directory() == tmp_path / "nexus-streams"


def test_missing_java_is_named_with_the_way_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"Java 17 or newer is missing: install it, or set NEXUS__KAFKA__BOOTSTRAP_SERVERS"):
        jars.java()


def test_missing_maven_is_named_when_the_cache_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match=r"Maven \(mvn\), which fetches Apache Kafka the first time, is missing"):
        jars.kafka_jars(print)


def test_a_filled_cache_needs_no_maven(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    _install_maven(tmp_path / "bin", "mkdir jars; : > jars/kafka_2.13-0.jar")
    fetched = jars.kafka_jars(print)
    (tmp_path / "bin" / "mvn").unlink()
    assert jars.kafka_jars(print) == fetched
    assert [path.name for path in fetched.iterdir()] == ["kafka_2.13-0.jar"]
    assert list(fetched.parent.iterdir()) == [fetched]


def test_a_failed_fetch_says_what_maven_said_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NEXUS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    _install_maven(tmp_path / "bin", "echo Could not transfer artifact; exit 3")
    with pytest.raises(StackError, match=r"(?s)\(exit 3\); it said:.*Could not transfer artifact"):
        jars.kafka_jars(print)
    assert list((tmp_path / "cache").iterdir()) == []


def _install_maven(directory: Path, script: str) -> None:
    directory.mkdir()
    (directory / "mvn").write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    (directory / "mvn").chmod(0o755)
