from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

import streams.bench
from streams.bench import Own, Report, Sizes
from streams.bench.machine import Machine
from streams.cli import build_app
from streams.settings import Settings

MACHINE = Machine("EPYC", 2, 24.0, "Linux", "3.11.7", "Apache Kafka 4.2.1", "valkey 9.1.2", "aiokafka 0.14.0", 0.5)


owns_asked: list[Own | None] = []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Sizes]:
    """Stand in for a run, in an empty working directory; note what was asked for."""
    sizes_asked: list[Sizes] = []
    owns_asked.clear()

    async def hold(_: Settings, __: Path, sizes: Sizes, what: str, ___: object, own: Own | None) -> Report:
        sizes_asked.append(sizes)
        owns_asked.append(own)
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


def test_records_of_one_s_own_are_measured_all_of_them(asked: list[Sizes], tmp_path: Path) -> None:
    file = tmp_path / "contacts.ndjson"
    file.write_text("{}\n")
    (tmp_path / "nexus.yaml").write_text("sources: {crm: {topic: raw.crm, adapter: segment}}")
    result = CliRunner().invoke(build_app(), ["bench", "--source", f"crm={file}", "--results", "kept"])
    assert result.exit_code == 0, result.output
    assert owns_asked == [Own("crm", file)]
    assert asked[0].records > 1_000_000_000
    assert names(tmp_path / "kept") == ["2024-05-01-bench-crm.json"]
    assert CliRunner().invoke(build_app(), ["bench", "--source", f"crm={file}", "--records", "2000"]).exit_code == 0
    assert asked[1].records == 2_000


@pytest.mark.parametrize("more", ["--quick", "--guard"])
def test_of_records_of_one_s_own_nothing_is_known_before(asked: list[Sizes], tmp_path: Path, more: str) -> None:
    file = tmp_path / "contacts.ndjson"
    file.write_text("{}\n")
    result = CliRunner().invoke(build_app(), ["bench", "--source", f"crm={file}", more])
    assert result.exit_code != 0
    assert asked == []


def test_a_source_that_is_not_declared_is_said_before_anything_starts(asked: list[Sizes], tmp_path: Path) -> None:
    file = tmp_path / "contacts.ndjson"
    file.write_text("{}\n")
    result = CliRunner().invoke(build_app(), ["bench", "--source", f"crm={file}"])
    assert "there is no source 'crm'" in str(result.exception)
    assert asked == []


def test_a_file_that_is_not_there_is_said(asked: list[Sizes]) -> None:
    result = CliRunner().invoke(build_app(), ["bench", "--source", "crm=nothing.ndjson"])
    assert result.exit_code != 0
    assert asked == []
    assert "there is no file nothing.ndjson" in str(result.exception)
