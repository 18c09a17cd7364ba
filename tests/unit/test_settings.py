from __future__ import annotations

import stat
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pytest
import yaml

from resolvers.errors import SettingsError
from resolvers.identifier import Identifier, identifier_digest
from streams.settings import Settings, load_settings, settings_from, write_settings
from streams.settings.reference import page
from streams.verify.usable import Usable

MAPPING = {"topic": "raw.crm", "adapter": "mapping"}


def problems(document: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        settings_from(document)
    return [line.removeprefix("settings: ") for line in str(caught.value).splitlines()]


def source(**settings: Any) -> dict[str, Any]:
    return {"sources": {"crm": {**MAPPING, **settings}}}


def person(**identifiers: Any) -> dict[str, Any]:
    return {"entities": {"person": {"identifiers": identifiers}}}


def test_nothing_given_is_ready_for_trying_out() -> None:
    settings = load_settings(None, {})
    assert settings.uses_development_key
    assert list(settings.entities) == ["person", "group"]
    assert (settings.entities["person"].prefix, settings.entities["group"].prefix) == ("per", "grp")
    assert settings.entities["person"].identifiers["email"].normalise == "email"
    assert settings.worker.stages == ["adapt", "resolve", "publish"]


def test_priority_is_the_place_in_the_file() -> None:
    settings = settings_from(person(user_id={}, email={}, device={"priority": 9}))
    assert {kind: one.priority for kind, one in settings.entities["person"].identifiers.items()} == {"user_id": 1, "email": 2, "device": 9}


def test_prefix_is_the_first_three_letters_of_the_type() -> None:
    assert settings_from({"entities": {"account": {"identifiers": {"id": {}}}}}).entities["account"].prefix == "acc"


def test_the_default_space_has_no_name_in_its_topics() -> None:
    settings = Settings()
    assert settings.topic("entities") == "nexus.entities"
    assert settings.topic("dead-letters") == "nexus.dead-letters"


def test_another_space_has_output_topics_of_its_own_and_shares_the_log() -> None:
    settings = settings_from({"space": "eu", "topics": {"prefix": "acme."}})
    assert settings.topic("timeline") == "acme.eu.timeline"
    assert settings.topic("events") == "acme.events"


def test_an_unknown_topic_name_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError, match="no topic is called 'entity'"):
        Settings().topic("entity")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"spaces": "x"}, "spaces: there is no such key; allowed: space, identity_key"),
        ({"space": "A B"}, "space: 'A B': must match ^[A-Za-z0-9_]"),
        ({"space": "a.b"}, "space: 'a.b': must match ^[A-Za-z0-9_]"),
        ({"space": ""}, "space: '': must match ^[A-Za-z0-9_]"),
        ({"identity_key": ""}, "identity_key: (secret): must have at least 1 characters"),
        ({"partitions": "many"}, "partitions: 'many': must be a valid integer"),
        ({"kafka": {"bootstrap_server": "x"}}, "did you mean 'bootstrap_servers'?"),
        ({"kafka": {"bootstrap_servers": "a:b:c"}}, "kafka.bootstrap_servers: 'a:b:c': must be host:port"),
        ({"kafka": {"bootstrap_servers": "a:1, b:x"}}, "must be host:port, or several with commas between them, which 'b:x' is not"),
        ({"kafka": {"bootstrap_servers": "a:0"}}, "a port is a number from 1 to 65535"),
        ({"kafka": {"bootstrap_servers": "PLAINTEXT://a:1"}}, "must be host:port"),
        ({"kafka": {"bootstrap_servers": " , "}}, "must be host:port"),
        ({"redis": {"url": "redis://:secret@r:port/0"}}, "redis.url: 'redis://***@r:port/0': is no address that can be used"),
        ({"redis": {"url": "redis://r:70000/0"}}, "redis://host:6379/0: Port out of range 0-65535"),
        ({"redis": {"url": "redis://r/0?db=x"}}, "redis://host:6379/0: Invalid value for 'db' in connection URL."),
        ({"redis": {"url": "redis://r/0?dbs=1"}}, "unexpected keyword argument 'dbs'"),
        ({"redis": {"url": "rediss://r/0?ssl_cert_reqs=maybe"}}, "Invalid SSL Certificate Requirements Flag: maybe"),
        ({"kafka": None}, "kafka: must be a mapping"),
        ({"kafka": {"security": {"protocol": "SASL_SSL"}}}, "kafka.security.protocol: 'SASL_SSL': needs kafka.security.username"),
        ({"kafka": {"security": {"cert_file": "a.pem"}}}, "cert_file and key_file go together"),
        ({"topics": {"config": {"entitys": {}}}}, "topics.config.entitys: 'entitys': must be one of events, commands"),
        ({"worker": {"stages": ["adapt", "adapt"]}}, "worker.stages: a list: must name each stage once"),
        ({"worker": {"session_timeout_ms": 50_000}}, "worker.session_timeout_ms: 50000: must be below kafka.request_timeout_ms (40000)"),
        ({"times": {"earliest": "long ago"}}, "times.earliest: 'long ago': must be an RFC 3339 time"),
        (person(email={"normalise": "emial"}), "must be one of email, phone, domain, lower, exact; did you mean 'email'?"),
        (person(email={}, phone={"priority": 1}), "priority: 1: is the priority of 'email' too"),
        (person(email={"region": "US"}), "entities.person.identifiers.email.region: 'US': is only for normalise: phone"),
        (person(email={"hub": {"of": "phone"}}, phone={}), "email.hub.of: 'phone': must be left out, since no identifier type is stronger"),
        (person(user_id={}, email={"hub": {"of": "user"}}), "email.hub.of: 'user': must be one of user_id; did you mean 'user_id'?"),
        (person(email={"blocked": ["re:("]}), "entities.person.identifiers.email.blocked[0]: 're:('"),
        ({"entities": {"person": {"identifiers": {}}}}, "entities.person.identifiers: a mapping: must have at least 1 entries"),
        (
            {"entities": {"p": {"prefix": "x", "identifiers": {"a": {}}}, "q": {"prefix": "x", "identifiers": {"a": {}}}}},
            "is the prefix of 'p' too",
        ),
        ({"entities": {"Person": {"identifiers": {"a": {}}}}}, "entities.Person: 'Person': an entity type is lower case letters"),
        (source(topic="raw crm"), "sources.crm.topic: 'raw crm': a Kafka topic's name is letters, digits and . _ -"),
        (source(topic="nexus.events"), "sources.crm.topic: 'nexus.events': is the topic of nexus's own topic 'events' too"),
        (source(adapter="strpie"), "or package.module:function; did you mean 'stripe'?"),
        (source(event={"time": "at"}), "sources.crm.event.time: 'time': must be one of id, name, occurred_at"),
        (source(event={"id": "a["}), "sources.crm.event.id: 'a[': must be a JMESPath expression"),
        (
            source(participants=[{"entity": "persn"}]),
            "sources.crm.participants[0].entity: 'persn': must be a declared entity type: person, group",
        ),
        (source(participants=[{"entity": "person", "identifers": {}}]), "sources.crm.participants[0].identifers: there is no such key"),
        (
            source(memberships=[{"member": 0, "group": 1}]),
            "sources.crm.memberships[0].member: 0: must index participants, of which there are 0",
        ),
    ],
)
def test_a_message_names_the_key_the_value_and_what_is_allowed(document: dict[str, Any], message: str) -> None:
    assert any(message in line for line in problems(document)), problems(document)


def test_every_problem_has_its_line() -> None:
    assert len(problems({"spac": 1, "partitions": 0, "redis": {"url": "http://x"}})) == 3


def test_sources_may_not_share_a_topic() -> None:
    assert problems({"sources": {"a": MAPPING, "b": MAPPING}}) == [
        "sources.b.topic: 'raw.crm': is the topic of source 'a' too; each source needs its own"
    ]


def test_no_secret_is_in_a_message() -> None:
    lines = problems(
        {
            "identity_key": ["hush"],
            "redis": {"url": "http://user:hush@host"},
            "kafka": {"security": {"password": ["hush"]}},
        }
    )
    assert len(lines) == 3
    assert "hush" not in "".join(lines)


def test_no_secret_is_in_the_text_of_settings() -> None:
    settings = settings_from({"identity_key": "not-for-eyes", "kafka": {"security": {"password": "not-for-eyes"}}})
    assert "not-for-eyes" not in f"{settings!r} {settings}"


def test_a_wrong_file_is_named_with_its_problem(tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("space: [")
    with pytest.raises(SettingsError, match=r"nexus\.yaml: the settings file is not YAML"):
        load_settings(file, {})
    with pytest.raises(SettingsError, match=r"absent\.yaml: the settings file cannot be read: No such file"):
        load_settings(tmp_path / "absent.yaml", {})
    file.write_text("[1, 2]")
    with pytest.raises(SettingsError, match="must be a mapping of sections"):
        load_settings(file, {})


def test_a_key_given_twice_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("space: a\nspace: b\n")
    with pytest.raises(SettingsError, match="the key 'space' is there twice"):
        load_settings(file, {})


def test_an_empty_file_means_defaults(tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("# nothing yet\n")
    assert load_settings(file, {}) == Settings()


def test_times_need_no_quotes(tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("times: {earliest: 2000-01-01T00:00:00Z}\n")
    assert load_settings(file, {}).times.earliest == "2000-01-01T00:00:00Z"


def test_the_file_is_found_by_variable_or_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "nexus.yaml").write_text("space: here\n")
    (tmp_path / "other.yaml").write_text("space: there\n")
    monkeypatch.chdir(tmp_path)
    assert load_settings(None, {}).space == "here"
    assert load_settings(None, {"NEXUS_CONFIG": "other.yaml"}).space == "there"


def test_variables_go_over_the_file_key_by_key(tmp_path: Path) -> None:
    file = tmp_path / "nexus.yaml"
    file.write_text("kafka: {client_id: mine, linger_ms: 7}\nsources: {CRM: {topic: raw.crm, adapter: mapping}}\n")
    environ = {
        "NEXUS__KAFKA__BOOTSTRAP_SERVERS": "broker:9092",
        "nexus__kafka__linger_ms": "9",
        "NEXUS__SOURCES__CRM__TOPIC": "raw.other",
        "NEXUS__WORKER__STAGES": '["adapt"]',
        "NEXUS__ENTITIES": '{"person": {"identifiers": {"email": {"normalise": "email"}}}}',
        "NEXUS_CACHE": "/somewhere",
        "NEXUS_TEST_REDIS": "redis://elsewhere",
        "PATH": "/bin",
    }
    settings = load_settings(file, environ)
    assert (settings.kafka.client_id, settings.kafka.bootstrap_servers, settings.kafka.linger_ms) == ("mine", "broker:9092", 9)
    assert settings.sources["CRM"].topic == "raw.other"
    assert settings.worker.stages == ["adapt"]
    assert list(settings.entities) == ["person"]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("NEXUS__SPAC", "x", "NEXUS__SPAC: there is no setting spac; allowed: space, .*; did you mean 'space'?"),
        ("NEXUS__REDIS__URI", "x", "NEXUS__REDIS__URI: there is no setting redis.uri; allowed: url, .*; did you mean 'url'?"),
        ("NEXUS__SPACE__NAME", "x", "the setting above it takes a single value"),
        ("NEXUS__WORKER__STAGES", "adapt", "NEXUS__WORKER__STAGES: must be a JSON list"),
        ("NEXUS__KAFKA", "{", "NEXUS__KAFKA: must be a JSON object"),
        ("NEXUS__PARTITIONS", "0", "settings and NEXUS__ variables: partitions: '0': must be greater than or equal to 1"),
    ],
)
def test_a_wrong_variable_is_an_error(name: str, value: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match=message.replace("?", r"\?")):
        load_settings(None, {name: value})


def test_making_settings_reads_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE", "elsewhere")
    monkeypatch.setenv("NEXUS__SPACE", "elsewhere")
    assert Settings().space == "default"


def test_a_written_file_is_private_and_gives_the_same_settings(tmp_path: Path) -> None:
    settings = settings_from(
        {
            "space": "s-1",
            "identity_key": "a secret of ours",
            **source(
                event={"id": "id", "name": "'x'"},
                participants=[{"entity": "person", "identifiers": {"email": "e"}}, {"entity": "group"}],
                memberships=[{"member": 0, "group": 1, "role": "title"}],
                options={"a": [1, None, True]},
            ),
        }
    )
    file = tmp_path / "derived.yaml"
    write_settings(settings, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_settings(file, {}) == settings
    assert yaml.safe_load(file.read_text())["identity_key"] == "a secret of ours"


def test_the_reference_page_is_up_to_date() -> None:
    kept = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
    assert kept.read_text(encoding="utf-8") == page(), "write it again: python -m streams.settings.reference > docs/reference/settings.md"


def test_a_variable_may_name_a_file_with_the_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("first\nsecond\n")
    environ = {"NEXUS__KAFKA__SECURITY__PASSWORD_FILE": str(tmp_path / "secret"), "NEXUS__KAFKA__SECURITY__CA_FILE": "/ca.pem"}
    security = load_settings(None, environ).kafka.security
    assert security.password is not None
    assert (security.password.get_secret_value(), security.ca_file) == ("first\nsecond", Path("/ca.pem"))


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"NEXUS__REDIS__URL_FILE": "/no/such/file"}, "NEXUS__REDIS__URL_FILE: the file /no/such/file cannot be read: No such file"),
        ({"NEXUS__REDIS__URL_FILE": "/dev/null", "NEXUS__REDIS__URL": "redis://x"}, "NEXUS__REDIS__URL is given too"),
        ({"NEXUS__REDIS__NOTHING_FILE": "/dev/null"}, "there is no setting redis.nothing_file"),
    ],
)
def test_a_file_that_cannot_be_taken_is_named(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(None, environ)


def test_oauthbearer_needs_what_gives_tokens() -> None:
    security = {"protocol": "SASL_SSL", "mechanism": "OAUTHBEARER"}
    with pytest.raises(SettingsError, match=r"needs kafka\.security\.token_provider"):
        settings_from({"kafka": {"security": security}})
    assert settings_from({"kafka": {"security": {**security, "token_provider": "ours.login:token"}}}).kafka.security.username is None


@pytest.mark.parametrize(
    "servers", ["kafka", "kafka:9092", "a:1,b:2", " a:1 , b:2 ,", "::1", "[::1]:9092", "[::1]", "127.0.0.1:65535", "k_1:1"]
)
def test_servers_are_named_as_the_client_takes_them(servers: str) -> None:
    assert settings_from({"kafka": {"bootstrap_servers": servers}}).kafka.bootstrap_servers == servers


@pytest.mark.parametrize(
    "url",
    ["redis://r", "redis://user:p%40ss@r:6380/3", "rediss://r/0?ssl_cert_reqs=none", "unix:///run/redis.sock?db=1", "redis://[::1]:6379/0"],
)
def test_a_redis_is_named_as_the_client_takes_it(url: str) -> None:
    assert settings_from({"redis": {"url": url}}).redis.url == url


@pytest.mark.parametrize("space", ["my_space", "test_ab12", "EU", "eu-1", "_", "1"])
def test_a_space_is_named_by_letters_digits_underscores_and_hyphens(space: str) -> None:
    assert settings_from({"space": space}).topic("entities") == f"nexus.{space}.entities"


@pytest.mark.parametrize(
    ("key", "digested_with"),
    [
        ("k", b"k"),
        ("k" * 64, b"k" * 64),
        ("\u00e9" * 32, "\u00e9".encode() * 32),
        ("k" * 65, blake2b(b"k" * 65).digest()),
        ("\u00e9" * 33, blake2b("\u00e9".encode() * 33).digest()),
    ],
)
def test_an_identity_key_of_any_length_is_taken(key: str, digested_with: bytes) -> None:
    settings = settings_from({"identity_key": key})
    ann = Identifier("person", "email", "ann@x.example")
    assert settings.digest_key == digested_with
    assert identifier_digest(settings.digest_key, ann) == Usable(settings).digest("person", "email", "ann@x.example")


def test_an_identifier_type_that_is_only_named_has_all_defaults(tmp_path: Path) -> None:
    (tmp_path / "nexus.yaml").write_text("entities:\n  person:\n    identifiers:\n      user_id:\n      email:\n")
    found = load_settings(tmp_path / "nexus.yaml", {"NEXUS__ENTITIES__PERSON__IDENTIFIERS__EMAIL__NORMALISE": "email"}).entities["person"]
    assert found == settings_from(person(user_id={}, email={"normalise": "email"})).entities["person"]
