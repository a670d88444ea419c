"""docs/conformance.md says what is so; only its counts are of the day when it was written."""

from tests.conformance import PAGE
from tests.unit.server.oracle.conformance import counts_of, page, suite_of
from tests.unit.server.oracle.definitions import CORE, OURS, known
from tests.unit.server.oracle.unannounced import WHY

from netwright.server.api.v2 import extensions


def test_every_alias_is_announced_or_has_a_reason() -> None:
    assert WHY.keys() == known().keys() - extensions.announced() - set(CORE)
    assert extensions.announced() <= known().keys() | OURS.keys()


def test_the_page_is_current() -> None:
    text = PAGE.read_text()
    counts = counts_of(text)
    assert counts.keys() == extensions.announced() | set(CORE)
    assert page(counts, suite_of(text)) == text, "python -m tests.conformance --write"
