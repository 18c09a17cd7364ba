from __future__ import annotations

from streams.tracing.shared import MOST_LINKS, MOST_NAMED, MOST_SPANS, Shared
from streams.tracing.spans import Kind
from tests.spans import FakeSpans, context


def test_each_of_a_few_contexts_has_a_span_of_its_own() -> None:
    spans, few = FakeSpans(), [context(1), context(2), context(1)]
    work = Shared(spans, "resolve", Kind.READS, few, {"count": 3}, {context(1): [context(9)]})
    assert [(one.parent, one.links, one.attributes) for one in spans.made] == [
        (context(1), [context(9)], {"count": 3}),
        (context(2), [], {"count": 3}),
    ]
    assert work.context(context(2)) == spans.made[1].context
    work.name(context(2), "ids", "a")
    work.name(context(2), "ids", "b")
    work.end()
    assert [one.attributes.get("ids") for one in spans.made] == [None, ["a", "b"]]
    assert all(one.ended for one in spans.made)


def test_many_contexts_share_one_span_in_the_latests_trace_which_is_linked_to_the_others() -> None:
    spans, many = FakeSpans(), [context(number) for number in range(1, MOST_SPANS + 2)]
    work = Shared(spans, "resolve", Kind.READS, many, {})
    (span,) = spans.made
    assert (span.parent, span.links, span.attributes) == (many[-1], many, {"nexus.traced": len(many)})
    assert work.context(many[-1]) == span.context
    assert work.context(many[0]) == many[0]
    work.name(many[0], "ids", "a")
    work.name(many[-1], "ids", "b")
    work.end()
    assert span.attributes["ids"] == ["a", "b"]


def test_what_a_span_names_and_links_is_bounded() -> None:
    spans, many = FakeSpans(), [context(number) for number in range(1, 1_000)]
    work = Shared(spans, "publish", Kind.WRITES, many, {})
    for number in range(1_000):
        work.name(many[number % 999], "ids", str(number))
    work.end()
    assert (len(spans.made[0].links), len(spans.made[0].attributes["ids"])) == (MOST_LINKS, MOST_NAMED)
