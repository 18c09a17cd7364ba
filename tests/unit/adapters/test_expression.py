from __future__ import annotations

from typing import Any

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resolvers.errors import Rejected, SettingsError
from streams.adapters.expression import compile_expression

DOCUMENT: dict[str, Any] = {
    "id": 7,
    "account": {"plan": "gold", "total billed": 830},
    "emails": [{"address": "a@x.example"}, {"address": "b@x.example"}],
    "text": "plain",
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("id", 7),
        ("missing", None),
        ("account.plan", "gold"),
        ("text.plan", None),
        ("missing.plan.deep", None),
        ('account."total billed"', 830),
        ("'a literal'", "a literal"),
        ("`[1, 2]`", [1, 2]),
        ("[id, account.plan, missing]", [7, "gold", None]),
        ("emails[].address", ["a@x.example", "b@x.example"]),
        ("emails[0].address", "a@x.example"),
        ("join('-', [text, account.plan])", "plain-gold"),
        ("missing || text", "plain"),
        ("@.id", 7),
    ],
)
def test_expressions_read_the_document(expression: str, expected: object) -> None:
    assert compile_expression(expression, "key")(DOCUMENT) == expected


NAMES = st.sampled_from(["a", "b", "c"])
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3)
    ),
)


@given(st.lists(NAMES, min_size=1, max_size=4).map(".".join), DOCUMENTS)
def test_a_compiled_chain_answers_like_jmespath(chain: str, document: dict[str, Any]) -> None:
    assert compile_expression(chain, "key")(document) == jmespath.search(chain, document)
    assert compile_expression(f"[{chain}, 'x']", "key")(document) == jmespath.search(f"[{chain}, 'x']", document)


@pytest.mark.parametrize("expression", ["", "a.", "a b", "emails[", "'open", "a..b", "[" * 3000])
def test_a_syntax_error_names_the_key(expression: str) -> None:
    with pytest.raises(SettingsError, match=r"^sources\.crm\.event\.id: "):
        compile_expression(expression, "sources.crm.event.id")


def test_an_unknown_function_is_found_before_any_record_is() -> None:
    with pytest.raises(SettingsError, match=r"key: .*'lower', which JMESPath does not have; allowed: abs, "):
        compile_expression("emails[?lower(address) == 'x']", "key")


def test_a_function_that_refuses_its_argument_rejects_the_record() -> None:
    with pytest.raises(Rejected, match=r"key: the expression 'sum\(text\)' fails on this record: .*sum"):
        compile_expression("sum(text)", "key")(DOCUMENT)
