from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import streams.bench
from streams.bench import Report, Sizes
from streams.bench.machine import Machine
from streams.cli import build_app
from streams.settings import Settings

MACHINE = Machine("EPYC", 2, 24.0, "Linux", "3.11.7", "Apache Kafka 4.2.1", "valkey 9.1.2", "aiokafka 0.14.0", 0.5)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Sizes]:
    """Stand in for a run, in an empty working directory; note what was asked for."""
    sizes_asked: list[Sizes] = []

    async def hold(_: Settings, __: Path, sizes: Sizes, what: str, ___: object) -> Report:
        sizes_asked.append(sizes)
        return Report(what, "2024-05-01T10:00:00.000Z", 1.0, MACHINE, {"records": sizes.records}, (), ())

    monkeypatch.setattr(streams.bench, "hold", hold)
    monkeypatch.chdir(tmp_path)
    return sizes_asked


def names(directory: Path) -> list[str]:
    return sorted(file.name for file in directory.iterdir())


def test_a_report_is_kept_where_there_is_a_place_for_it(asked: list[Sizes], tmp_path: Path) -> None:
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    result = CliRunner().invoke(build_app(), ["bench"])
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "benchmarks/results") == ["2024-05-01-bench.json"]
    assert asked[0].records == 60_000


def test_a_quick_run_is_kept_only_when_asked(asked: list[Sizes], tmp_path: Path) -> None:
    (tmp_path / "benchmarks/results").mkdir(parents=True)
    assert CliRunner().invoke(build_app(), ["bench", "--quick", "--records", "2000"]).exit_code == 0
    assert names(tmp_path / "benchmarks/results") == []
    assert asked[0].records == 2_000
    assert CliRunner().invoke(build_app(), ["bench", "--quick", "--results", "kept"]).exit_code == 0
    assert names(tmp_path / "kept") == ["2024-05-01-quick.json"]
