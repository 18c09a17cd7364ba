"""Files of source records: NDJSON or CSV, plain or compressed.

Invariant: no line is lost. What cannot be read as a row is passed on with its bytes as they are, for the adapter to
reject with a reason. `nexus publish`, `nexus run` and `nexus adapt` read files through here.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from resolvers.errors import NexusError

_GZIP = frozenset({".gz", ".gzip"})
_ZSTD = frozenset({".zst", ".zstd"})
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


def read_records(path: Path) -> Iterator[bytes]:
    """Give the records of a file one by one, in bounded memory.

    The extension decides: `.csv` and `.tsv` rows, after a line of column names, become JSON objects of strings; anything
    else is NDJSON, a line a record, unchanged but for its line end. `.gz` or `.zst` after it means compressed. Empty lines are skipped.

    Raises NexusError, possibly after some records, for a file that cannot be read.
    """
    try:
        with path.open("rb") as file, _decompressed(file, path) as content:
            delimiter = _DELIMITERS.get(_format(path))
            yield from _lines(content) if delimiter is None else _rows(content, delimiter, path)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise NexusError(f"{path} cannot be read: {error}") from error


def check_readable(paths: Iterable[Path]) -> None:
    """Raise NexusError for the first file that cannot be opened. What is no plain file, such as a pipe, is not touched."""
    for path in paths:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                path.open("rb").close()
            elif path.is_dir():
                raise NexusError(f"{path} cannot be read: it is a folder, and should be a file of records")
        except OSError as error:
            raise NexusError(f"{path} cannot be read: {error}") from error


def _format(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _GZIP | _ZSTD:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _decompressed(file: BinaryIO, path: Path) -> BinaryIO:
    suffix = path.suffix.lower()
    if suffix in _GZIP:
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if suffix in _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        return cast("BinaryIO", io.BufferedReader(cast("io.RawIOBase", reader)))
    return file


def _lines(content: BinaryIO) -> Iterator[bytes]:
    for line in content:
        if line.strip():
            yield line.rstrip(b"\r\n")


class _Consumed:
    """The lines of a text, remembering those that were read since the last row."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self._lines: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self._lines.append(line)
            yield line

    def take(self) -> str:
        taken = "".join(self._lines)
        self._lines.clear()
        return taken


def _rows(content: BinaryIO, delimiter: str, path: Path) -> Iterator[bytes]:
    # The module's limit on fields is one for the whole process; a payload in a column is often larger than it.
    csv.field_size_limit(sys.maxsize)
    # Bytes that are no UTF-8 travel as surrogates and come out as the same bytes.
    with io.TextIOWrapper(content, "utf-8-sig", errors="surrogateescape", newline="") as text:
        columns: list[str] | None = None
        for row, taken in _parsed(_Consumed(text), delimiter):
            if columns is None:
                columns = _columns(row, path)
            elif len(row) == len(columns):
                yield _bytes(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False))
            else:
                yield _bytes(taken.rstrip("\r\n"))


def _parsed(lines: _Consumed, delimiter: str) -> Iterator[tuple[list[str], str]]:
    """Give each row beside the text that it was read from; a row that is no CSV is an empty one."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            row = []
        taken = lines.take()
        if row is None:
            return
        if taken.strip():
            yield row, taken


def _columns(row: list[str], path: Path) -> list[str]:
    repeated = next((name for index, name in enumerate(row) if name in row[:index]), None)
    if not row or repeated is not None:
        reason = "is malformed" if repeated is None else f"names the column {repeated!r} twice"
        raise NexusError(f"{path}: the first line {reason}; it should hold the column names, each once")
    return row


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
