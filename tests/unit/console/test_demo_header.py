from __future__ import annotations

from libs.console.verbs.demo import notes_of
from services.venue import recording


def test_no_field_of_the_demo_is_called_better_than_it_is() -> None:
    """By the venue's own words: what is made up, even in part, stands in no line of recorded fields."""
    facts = recording.load().provenance
    lines = dict(line.split(": ", 1) for line in notes_of(facts, full=False)[:-1])
    assert {field for line in lines.values() for field in line.split(", ")} == set(facts)
    assert lines["recorded"] == "binance funding, bitget funding, current rate"
    assert lines["published"] == "fees"
    assert lines["synthesised"] == "quotes, books, volumes"
