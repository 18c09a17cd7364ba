from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from streams.checkup import examine
from streams.cli import build_app
from streams.finding import Finding
from streams.settings import settings_from

SETTINGS = """
identity_key: only for these tests
sources:
  crm:
    topic: raw.crm
    adapter: mapping
    event: {id: id, name: "'seen'", occurred_at: at}
    participants: [{entity: person, role: contact, identifiers: {email: email}}]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "nexus.yaml"
    file.write_text(SETTINGS)
    return file


def test_the_key_for_trying_out_is_a_warning() -> None:
    assert [(finding.level, finding.what) for finding in examine(settings_from({}))] == [
        ("warning", "identity_key"),
        ("warning", "sources"),
    ]


@pytest.mark.parametrize(("key", "level"), [("123456789012345", "warning"), ("1234567890123456", "ok")])
def test_a_short_identity_key_is_a_warning(key: str, level: str) -> None:
    assert examine(settings_from({"identity_key": key}))[0].level == level


def test_an_adapter_that_cannot_be_imported_is_an_error() -> None:
    settings = settings_from({"identity_key": "12345678", "sources": {"crm": {"topic": "raw.crm", "adapter": "no_such_module:f"}}})
    _, finding = examine(settings)
    assert (finding.level, finding.what) == ("error", "sources.crm.adapter")
    assert "cannot be imported" in finding.text


def test_a_source_that_rules_name_and_nothing_declares_is_a_warning() -> None:
    states = [{"name": "app_login", "entity": "person", "rules": [{"source": one, "value": "yes"} for one in ("crm", "crn")]}]
    traits = {"name": {"keep": "source", "sources": ["mail", "crm"]}}
    declared = yaml.safe_load(SETTINGS) | {
        "states": states,
        "entities": {"person": {"identifiers": {"email": {}}, "traits": traits}},
    }
    assert [(one.what, one.text) for one in examine(settings_from(declared)) if one.level == "warning"] == [
        ("states[0].rules[1].source", "'crn' is no declared source: crm; did you mean 'crm'?"),
        ("entities.person.traits.name.sources", "'mail' is no declared source: crm"),
    ]
    assert not [one for one in examine(settings_from(declared | {"sources": {}})) if "declared source" in one.text]


def test_an_identifier_type_that_nothing_declares_is_a_warning() -> None:
    participant = {"entity": "person", "identifiers": {"badge": "badge"}}
    settings = settings_from(
        {
            "identity_key": "12345678",
            "sources": {"crm": {"topic": "raw.crm", "adapter": "mapping", "event": {"name": "'x'"}, "participants": [participant]}},
        }
    )
    text = "'badge' is not declared for person: it stays on the event and connects nothing"
    assert Finding("warning", "sources.crm.participants[0].identifiers", text) in examine(settings)


def test_check_prints_rules_and_findings_as_json(config: Path) -> None:
    result = CliRunner().invoke(build_app(), ["check", "--config", str(config), "--json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["ok"]
    assert [row["identifier_type"] for row in answer["rules"] if row["entity_type"] == "person"] == [
        "user_id",
        "email",
        "phone",
        "anonymous_id",
    ]


def test_check_shows_the_states_and_where_they_come_from(config: Path) -> None:
    rule = {"event": "Plan Chosen", "value": "paid"}
    states = [
        {"name": "crm_plan", "entity": "person", "participant": "plan", "values": ["free", "paid"], "rules": [rule]},
        {"name": "crm_customer", "entity": "person", "derived": {"components": {"plan": "crm_plan"}, "value": "plan == 'paid'"}},
    ]
    config.write_text(SETTINGS + yaml.safe_dump({"states": states}))
    shown = CliRunner().invoke(build_app(), ["check", "--config", str(config)])
    told = json.loads(CliRunner().invoke(build_app(), ["check", "--config", str(config), "--json"]).stdout)["states"]
    assert [(one["name"], one["participant"], one["rules"], one["derived_from"]) for one in told] == [
        ("crm_plan", "plan", 1, []),
        ("crm_customer", None, 0, ["crm_plan"]),
    ]
    assert all(text in shown.stdout for text in ("crm_customer", "derived from", "participants' plan"))


def test_check_shows_what_a_state_means(config: Path) -> None:
    described = {"name": "crm_plan", "entity": "person", "description": "What they pay for [by the CRM]."}
    config.write_text(SETTINGS + yaml.safe_dump({"states": [described, {"name": "crm_stage", "entity": "person"}]}))
    shown = CliRunner().invoke(build_app(), ["check", "--config", str(config)])
    told = json.loads(CliRunner().invoke(build_app(), ["check", "--config", str(config), "--json"]).stdout)["states"]
    assert [one["description"] for one in told] == ["What they pay for [by the CRM].", ""]
    lines = [line.strip() for line in shown.stdout.splitlines()]
    assert "crm_plan: What they pay for [by the CRM]." in lines
    assert not any(line.startswith("crm_stage:") for line in lines)


def test_check_exits_with_one_line_where_an_adapter_is_missing(config: Path) -> None:
    config.write_text(SETTINGS.replace("adapter: mapping", "adapter: 'no_such_module:f'"))
    result = CliRunner().invoke(build_app(), ["check", "--config", str(config)])
    assert result.exit_code == 1
    assert result.stderr.startswith("nexus: 1 of 2 checks failed; the first: sources.crm.adapter: ")
    assert result.stderr.count("\n") == 1


def test_adapt_tells_events_and_rejections_line_by_line(config: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.ndjson"
    records.write_text('{"id": 1, "at": "2024-01-01T00:00:00Z", "email": "a@b.example"}\nnot json\n')
    result = CliRunner().invoke(build_app(), ["adapt", "--config", str(config), "--source", "crm", "--json", str(records)])
    first, second = (json.loads(line) for line in result.stdout.splitlines())
    assert first["events"][0]["participants"] == [
        {
            "entity": "person",
            "role": "contact",
            "identifiers": [{"type": "email", "value": "a@b.example"}],
            "traits": {},
            "states": {},
        }
    ]
    assert "not valid JSON" in second["rejected"]
    assert result.stderr == "2 records: 1 events, 1 rejected\n"
    assert result.exit_code == 0
