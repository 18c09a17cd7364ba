from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import streams.discard
import streams.rebuild
from resolvers.errors import KafkaUnavailable, NexusError, SettingsError
from streams.cli import build_app, rebuild_live
from streams.cli.rebuild import Stopped, until_stopped
from streams.cli.rebuild_live import Lines, span, tempo_of
from streams.rebuild import Plan, Summary
from streams.settings import Settings
from streams.tempo import Look, Phase

DONE = Summary("other", 1_200, 200, 30, 2.0, 0.5, {"entities": 300, "identifiers": 900, "memberships": 40})


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "nexus.yaml"
    file.write_text("{space: live, kafka: {bootstrap_servers: '127.0.0.1:1', connect_seconds: 0}}", encoding="utf-8")
    return str(file)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Stand in for the rebuild; note what was asked for."""
    plans: list[Plan] = []

    async def rebuilt(_: Settings, plan: Plan, __: Path, ___: object) -> Summary:
        plans.append(plan)
        return DONE

    monkeypatch.setattr(streams.rebuild, "rebuild", rebuilt)
    return plans


@pytest.fixture
def thrown_away(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stand in for the discarding; note what was thrown away."""
    spaces: list[str] = []

    async def discard(target: Settings) -> list[str]:
        spaces.append(target.space)
        return ["nexus.other.entities"]

    monkeypatch.setattr(streams.discard, "discard", discard)
    return spaces


def invoke(*arguments: str, answer: str | None = None) -> Any:
    return CliRunner().invoke(build_app(), ["rebuild", *arguments], input=answer)


def test_the_summary_says_what_came_of_it_and_how_to_go_on(config: str, asked: list[Plan]) -> None:
    result = invoke("--into", "other", "--config", config, "--workers", "3", "--batch-records", "2000")
    assert result.stdout.splitlines() == [
        "1,000 events in 2.5 s (400 a second): applied in 2.0 s, told in 0.5 s",
        "200 events were in space other before",
        "        300  entities",
        "        900  identifiers",
        "         40  memberships",
        "30 events came meanwhile; the workers of space other apply them",
        "check it with `nexus verify --space other`; workers with NEXUS__SPACE=other (or space: other) keep it up to date",
    ]
    assert asked == [Plan("other", 3, 2_000)]


@pytest.mark.usefixtures("asked")
def test_the_summary_as_json(config: str) -> None:
    assert json.loads(invoke("--into", "other", "--config", config, "--json").stdout) == {
        "space": "other", "events": 1_200, "events_before": 200, "events_waiting": 30, "seconds": 2.5, "applying_seconds": 2.0,
        "telling_seconds": 0.5, "events_per_second": 400.0, "entities": 300, "identifiers": 900, "memberships": 40,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("events", "said"),
    [(7, "space other holds all 7 events already, and its topics are told"), (0, "space other holds nothing: the event log is empty")],
)
def test_a_space_that_needs_nothing_is_said_to(events: int, said: str, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def rebuilt(*_: object) -> Summary:
        return Summary("other", events, events, 0, 0.0, 0.0)

    monkeypatch.setattr(streams.rebuild, "rebuild", rebuilt)
    result = invoke("--into", "other", "--config", config)
    assert (result.exit_code, result.stdout.splitlines()[0]) == (0, said)


def test_the_live_space_is_refused_before_anything_is_asked(config: str, thrown_away: list[str]) -> None:
    result = invoke("--into", "live", "--fresh", "--yes", "--config", config)
    assert isinstance(result.exception, SettingsError)
    assert (result.output, thrown_away) == ("", [])


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_nothing_is_thrown_away_without_a_yes(answer: str, config: str, asked: list[Plan], thrown_away: list[str]) -> None:
    result = invoke("--into", "other", "--fresh", "--config", config, answer=answer)
    assert isinstance(result.exception, NexusError)
    assert "nothing was thrown away" in str(result.exception)
    assert "topics nexus.other.entities, nexus.other.identifiers" in result.stderr
    assert (asked, thrown_away) == ([], [])


@pytest.mark.parametrize(("option", "answer"), [("--yes", ""), ("--json", "y\n")])
def test_a_space_is_thrown_away_with_a_yes(option: str, answer: str, config: str, asked: list[Plan], thrown_away: list[str]) -> None:
    result = invoke("--into", "other", "--fresh", option, "--config", config, answer=answer)
    assert (result.exit_code, thrown_away, len(asked)) == (0, ["other"], 1)
    assert "threw away space other and 1 topics" in result.stderr


def test_a_kafka_that_does_not_answer_is_named_and_leaves_no_folder(config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = invoke("--into", "other", "--config", config)
    assert isinstance(result.exception, KafkaUnavailable)
    assert result.output == ""
    assert [file.name for file in tmp_path.iterdir()] == ["nexus.yaml"]


def test_the_logs_of_workers_stay_when_something_goes_wrong_but_not_their_settings(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(_: Settings, __: Plan, directory: Path, ___: object) -> Summary:
        (directory / "worker-1.yaml").write_text("identity_key: secret", encoding="utf-8")
        (directory / "worker-1.log").write_text("why", encoding="utf-8")
        raise NexusError("a worker ended")

    monkeypatch.setattr(streams.rebuild, "rebuild", failed)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = invoke("--into", "other", "--config", config)
    (directory,) = tmp_path.glob("nexus-rebuild-*")
    assert f"the logs of the workers are in {directory}" in result.stderr
    assert [file.name for file in directory.iterdir()] == ["worker-1.log"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_cancels_the_work_and_waits_for_its_end(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    ended = []

    async def work() -> Summary:
        try:
            os.kill(os.getpid(), number)
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)
        return DONE

    with pytest.raises(Stopped) as stopped:
        await until_stopped(work(), Lines())
    assert (stopped.value.signal, ended) == (number, [True])
    assert "stopping the workers" in capsys.readouterr().err


def test_an_interrupted_rebuild_says_where_it_goes_on(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(_: Settings, __: Plan, ___: Path, watching: Lines) -> Summary:
        watching.show(Look(Phase.APPLYING, 1_500, 2_000, 10.0, 50.0))
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.Event().wait()
        return DONE

    monkeypatch.setattr(streams.rebuild, "rebuild", interrupted)
    result = invoke("--into", "other", "--config", config)
    assert result.exit_code == 143
    said = "nexus: interrupted at 1,500 of 2,000 events applied; the same command, without --fresh, goes on from there"
    assert result.stderr.splitlines()[-1] == said


def test_a_line_is_said_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now, said = [0.0], list[str]()
    monkeypatch.setattr(rebuild_live, "say", said.append)
    lines = Lines(lambda: now[0])
    for seconds, phase, done in ((9, Phase.APPLYING, 0), (18, Phase.APPLYING, 90), (20, Phase.APPLYING, 100), (21, Phase.TELLING, 5)):
        now[0] = seconds
        lines.show(Look(phase, done, 1_000, 10.0, 90.0))
    assert said == ["100 of 1,000 events applied, 10 a second, about 1 min left"]


def test_times_are_written_for_people() -> None:
    assert [span(seconds) for seconds in (0.4, 59, 61, 3_599, 7_800)] == ["0 s", "59 s", "1 min", "59 min", "2 h 10 min"]
    assert tempo_of(Look(Phase.TELLING, 9, 9, 1_234.4, 0.0)) == "1,234 a second"
    assert tempo_of(Look(Phase.TELLING, 1, 9, 0.0, None)) == "0 a second"


def test_bars_are_drawn_for_each_phase(capsys: pytest.CaptureFixture[str]) -> None:
    with rebuild_live.Bar() as bar:
        bar.say("replaying [all] of it")
        bar.show(Look(Phase.APPLYING, 10, 10, 5.0, 0.0))
        bar.show(Look(Phase.TELLING, 3, 8, 1.0, 5.0))
    shown = capsys.readouterr()
    assert shown.out == ""
    for part in ("replaying [all] of it", "10/10", "events applied", "3/8", "output keys told"):
        assert part in shown.err
