from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.chaos.faults import FAULTS
from tests.chaos.mutations import COPIED, MUTATIONS, ROOT, Mutation


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.name)
def test_a_mutation_still_finds_its_place(mutation: Mutation, tmp_path: Path) -> None:
    for file in mutation.files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, tmp_path / file)
    mutation.apply(tmp_path)
    assert all((tmp_path / file).read_bytes() != (ROOT / file).read_bytes() for file in mutation.files)
    assert set(mutation.kinds) <= FAULTS.keys()
    assert all((ROOT / one).exists() for one in COPIED)
