"""`fundarb init`: what it writes is accepted, explained, and never overwrites by accident."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.config.legs import pair_specs
from libs.common.config.load import load_with_report
from libs.common.config.venues import FIRST_CLASS
from libs.console.main import main
from libs.console.output import UserError
from libs.console.template import Answers, render
from libs.console.verbs.init import wizard

ROOT = Path(__file__).parents[3]


def test_the_shipped_example_is_what_init_writes() -> None:
    assert (ROOT / "config" / "example.json").read_text(encoding="utf-8") == render(Answers())


def test_defaults_are_written_and_ready(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "config.json"
    assert main(["init", "--yes", "--out", str(out)]) == 0
    loaded = load_with_report([out], {})
    assert loaded.warnings == ()
    assert (loaded.config.thresholds.flip_policy, loaded.config.thresholds.forecast) == (
        "cost_aware",
        "expected",
    )
    assert {"thresholds.flip_policy", "thresholds.forecast"} <= set(loaded.sources)
    assert f"fundarb check --config {out}" in capsys.readouterr().out
    assert sorted(path.name for path in out.parent.iterdir()) == ["config.json"]


def test_an_existing_file_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "config.json"
    out.write_text("mine")
    assert main(["init", "--yes", "--out", str(out)]) == 2
    assert out.read_text() == "mine"
    assert "--force" in capsys.readouterr().err
    assert main(["init", "--yes", "--force", "--out", str(out)]) == 0
    assert out.read_text() == render(Answers())


def test_without_a_terminal_nothing_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("binance\n"))
    assert main(["init", "--out", str(tmp_path / "c.json")]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not (tmp_path / "c.json").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", "--yes", "--out", str(tmp_path / "file" / "c.json")]) == 2
    assert str(tmp_path / "file" / "c.json") in capsys.readouterr().err
    assert main(["init", "--yes", "--out", str(tmp_path / "c.toml")]) == 2
    assert "JSON with comments" in capsys.readouterr().err


def answering(*answers: str) -> Callable[[str], str]:
    left = iter(answers)
    return lambda _question: next(left)


def test_the_wizard_takes_answers_and_asks_again_when_they_are_no_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ask = answering(
        *("binanse", "okx, bybit"),
        *("BTCUSDT", "btc/usdt, ETH/USDT"),
        *("-1", "2500"),
        *("5", "nan", "0.0004"),
        *("0.02%", "-0.0001"),
        "",
    )
    answers = wizard(ask)
    assert answers == Answers(
        venues=("okx", "bybit"),
        symbols=("BTC/USDT", "ETH/USDT"),
        notional_usd=2500,
        taker=0.0004,
        maker=-0.0001,
        slippage_bps=5,
    )
    said = capsys.readouterr().out
    for hint in (
        "did you mean binance?",
        "like BTC/USDT",
        "above 0",
        "5 bps is 0.0005",
        "finite",
        "plain number",
    ):
        assert hint in said


def test_the_wizard_gives_up_politely() -> None:
    with pytest.raises(UserError, match="nothing was written"):
        wizard(lambda _question: "nonsense!")


@settings(derandomize=True, max_examples=40, deadline=None)
@given(
    venues=st.lists(st.sampled_from(FIRST_CLASS), min_size=1, max_size=4, unique=True).filter(
        lambda found: found[0] != "hyperliquid"
    ),
    bases=st.lists(st.sampled_from(["BTC", "ETH", "DOGE", "1000PEPE"]), min_size=1, max_size=4, unique=True),
    notional=st.integers(10, 1_000_000),
    taker=st.integers(-50, 100),
)
def test_whatever_the_wizard_can_answer_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, venues: list[str], bases: list[str], notional: int, taker: int
) -> None:
    answers = Answers(
        venues=tuple(venues),
        symbols=tuple(f"{base}/USDT" for base in bases),
        notional_usd=notional,
        taker=taker / 10_000,
    )
    path = tmp_path_factory.mktemp("init") / "c.json"
    path.write_text(render(answers))
    loaded = load_with_report([path], {})
    assert loaded.warnings == ()
    assert loaded.config.costs.taker == taker / 10_000
    spots = sum(venue != "hyperliquid" for venue in venues)
    assert len(pair_specs(loaded.config)) == len(bases) * (spots + len(venues) * (len(venues) - 1) // 2)
