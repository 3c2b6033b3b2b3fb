"""`fundarb calc`: the worked examples of the economics, through the command."""

from __future__ import annotations

import json

import pytest

from libs.console.main import main

EXAMPLES = [
    # r, h, N, taker, slip bps, borrow a day, transfer, H -> daily, net a day, break-even
    ("0.0001 8 50000 0.0005 5 0 0 30", 0.0003, 8.3333, 13.3333),
    ("0.0001 8 1000 0.0005 5 0 5 30", 0.0003, 0.0000, 30.0000),
    ("0.00005 1 1000 0.0005 5 0 0 30", 0.0012, 1.0667, 3.3333),
    ("-0.0003 8 10000 0.0005 5 0.0001 0 30", -0.0009, 6.6667, 5.0000),
]
FLAGS = ("rate", "interval", "notional", "taker", "slippage-bps", "borrow-daily", "transfer", "hold-days")


def calc(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert main(["calc", *argv, "--json"]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


@pytest.mark.parametrize(("given", "daily", "net", "days"), EXAMPLES)
def test_worked_examples(
    given: str, daily: float, net: float, days: float, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = [f"--{flag}={value}" for flag, value in zip(FLAGS, given.split(), strict=True)]
    answer = calc(capsys, *argv)
    assert answer["daily"] == pytest.approx(daily, abs=1e-9)
    assert answer["apr"] == pytest.approx(daily * 365, abs=1e-9)
    assert answer["net_daily_usd"] == pytest.approx(net, abs=5e-5)
    assert answer["breakeven_days"] == pytest.approx(days, abs=5e-5)
    assert answer["direction"] == ("forward" if daily > 0 else "reverse")
    assert set(answer) == {"daily", "apr", "round_trip_usd", "net_daily_usd", "breakeven_days", "direction"}


REBATE = ["--rate=0.0001", "--interval=4", "--notional=10000", "--maker=-0.00005", "--role=maker"]
REBATE += ["--slippage-bps=0", "--hold-days=10"]


def test_a_rebate_has_paid_at_entry(capsys: pytest.CaptureFixture[str]) -> None:
    answer = calc(capsys, *REBATE)
    assert answer["net_daily_usd"] == pytest.approx(6.2, abs=5e-5)
    assert answer["breakeven_days"] == pytest.approx(-0.3333, abs=5e-5)
    assert main(["calc", *REBATE]) == 0
    assert "0.0000 days" in capsys.readouterr().out


def test_never_is_null_in_json_and_a_word_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--rate", "-0.00001", "--interval", "8", "--borrow-daily", "0.001"]
    assert calc(capsys, *given)["breakeven_days"] is None
    assert main(["calc", *given]) == 0
    assert "never" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--rate", "0.01%", "0.01% is 0.0001"),
        ("--rate", "1", "1 bps is 0.0001"),
        ("--rate", "nan", "a finite number"),
        ("--rate", "inf", "a finite number"),
        ("--rate", "1e999", "a finite number"),
        ("--rate", "abc", "a finite number"),
        ("--interval", "0", "hours above 0"),
        ("--interval", "28800", "hours above 0 and at most 24"),
        ("--notional", "-5", "above 0"),
        ("--taker", "5", "5 bps is 0.0005"),
        ("--maker", "-1", "at least -0.005"),
        ("--slippage-bps", "0.0005", "0.0005 is 5 bps"),
        ("--slippage-bps", "0.05%", "0.05% is 5 bps"),
        ("--borrow-daily", "-0.1", "at least 0"),
        ("--transfer", "-1", "at least 0"),
        ("--hold-days", "0", "above 0"),
        ("--role", "both", "invalid choice"),
    ],
)
def test_a_slip_of_the_unit_is_refused_with_its_remedy(
    flag: str, value: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"--rate": "0.0001", "--interval": "8", "--notional": "1000", flag: value}
    assert main(["calc", *(f"{name}={text}" for name, text in given.items())]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert flag in err
    assert said in err


@pytest.mark.parametrize("rate", ["-3e-4", "-3E-4", "-.0003", "-0.0003", "-3.0e-04"])
def test_a_negative_number_needs_no_equals_sign(rate: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--rate", rate, "--interval", "8", "--maker", "-5e-05", "--role", "maker"]
    answer = calc(capsys, *given)
    assert answer["daily"] == pytest.approx(-0.0009, abs=1e-12)
    assert answer["direction"] == "reverse"


@pytest.mark.parametrize(
    "flag",
    [
        "rate",
        "interval",
        "notional",
        "taker",
        "maker",
        "slippage-bps",
        "borrow-daily",
        "transfer",
        "hold-days",
    ],
)
@pytest.mark.parametrize("value", ["-1e+01", "-1E1"])
def test_every_number_may_be_written_in_scientific_notation(
    flag: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is refused is the figure, in the flag's own words, and not that an argument is missing."""
    given = {"--rate": "1e-4", "--interval": "8", f"--{flag}": value}
    assert main(["calc", *(part for pair in given.items() for part in pair)]) == 2
    err = capsys.readouterr().err
    assert f"--{flag} {value}: " in err
    assert "expected one argument" not in err
