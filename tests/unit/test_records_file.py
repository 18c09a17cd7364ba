from __future__ import annotations

import gzip
import os
from pathlib import Path

import orjson
import pytest
import zstandard

from resolvers.errors import NexusError
from streams.records_file import check_readable, read_records


def written(directory: Path, name: str, content: bytes) -> Path:
    path = directory / name
    path.write_bytes(content)
    return path


def test_ndjson_lines_are_given_unchanged_and_empty_ones_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, "records.ndjson", b'{"a": 1}\r\n\n  \n{broken\n\xff\xfe\n{"a":2}')
    assert list(read_records(path)) == [b'{"a": 1}', b"{broken", b"\xff\xfe", b'{"a":2}']


def test_compressed_files_are_read(tmp_path: Path) -> None:
    content = b'{"a":1}\n{"a":2}\n'
    frames = zstandard.compress(content) + zstandard.compress(b'{"a":3}\n')
    assert list(read_records(written(tmp_path, "r.jsonl.gz", gzip.compress(content)))) == [b'{"a":1}', b'{"a":2}']
    assert list(read_records(written(tmp_path, "r.jsonl.zst", frames))) == [b'{"a":1}', b'{"a":2}', b'{"a":3}']
    assert list(read_records(written(tmp_path, "r.csv.gz", gzip.compress(b"a,b\n1,2\n")))) == [b'{"a": "1", "b": "2"}']


def test_csv_rows_become_objects_of_strings(tmp_path: Path) -> None:
    path = written(tmp_path, "r.csv", '\ufeffid,note\n1,"a ""quoted"", word"\n\n2,"two\nlines"\n3,é\n'.encode())
    assert [orjson.loads(record) for record in read_records(path)] == [
        {"id": "1", "note": 'a "quoted", word'},
        {"id": "2", "note": "two\nlines"},
        {"id": "3", "note": "é"},
    ]


def test_tabs_separate_the_columns_of_tsv(tmp_path: Path) -> None:
    assert list(read_records(written(tmp_path, "r.tsv", b"a\tb\n1\t2,3\n"))) == [b'{"a": "1", "b": "2,3"}']


def test_a_row_of_another_length_is_passed_on_as_it_is(tmp_path: Path) -> None:
    path = written(tmp_path, "r.csv", b'a,b\n1\n1,2,3\n"x,y\n1,2\n')
    assert list(read_records(path)) == [b"1", b"1,2,3", b'"x,y\n1,2']


def test_bytes_that_are_no_utf_8_come_out_of_csv_unchanged(tmp_path: Path) -> None:
    assert list(read_records(written(tmp_path, "r.csv", b"a\n\xe9t\xe9\n"))) == [b'{"a": "\xe9t\xe9"}']


def test_a_field_may_be_larger_than_the_csv_modules_default_limit(tmp_path: Path) -> None:
    (record,) = read_records(written(tmp_path, "r.csv", b"a\n" + b"x" * 300_000 + b"\n"))
    assert len(orjson.loads(record)["a"]) == 300_000


@pytest.mark.parametrize("name", ["r.ndjson", "r.csv", "r.csv.zst"])
def test_an_empty_file_has_no_records(tmp_path: Path, name: str) -> None:
    content = zstandard.compress(b"") if name.endswith("zst") else b""
    assert list(read_records(written(tmp_path, name, content))) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.jsonl.gz", b"not gzip"),
        ("r.jsonl.gz", gzip.compress(b"a\n" * 1000, mtime=0)[:-12]),
        ("r.jsonl.zst", b"not zstandard"),
        ("r.csv", b"a,b,a\n1,2,3\n"),
    ],
    ids=["not-gzip", "cut-short", "not-zstandard", "names-a-column-twice"],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    path = written(tmp_path, name, content)
    with pytest.raises(NexusError, match=str(path)):
        list(read_records(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NexusError, match=r"nowhere\.csv"):
        list(read_records(tmp_path / "nowhere.csv"))


def test_what_cannot_be_read_is_known_before_it_is_read(tmp_path: Path) -> None:
    there = written(tmp_path, "r.ndjson", b"{}")
    os.mkfifo(tmp_path / "pipe")
    check_readable([there, tmp_path / "pipe"])
    with pytest.raises(NexusError, match=r"absent\.ndjson cannot be read"):
        check_readable([there, tmp_path / "absent.ndjson"])
    with pytest.raises(NexusError, match="it is a folder"):
        check_readable([tmp_path])
