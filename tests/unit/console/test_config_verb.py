"""`fundarb config`: redacted settings with their origin, and schemas that a validator takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from libs.common import messages as m
from libs.common.config.jsonc import parse
from libs.console.main import main

ROOT = Path(__file__).parents[3]
BLUEPRINT = ROOT / "tests" / "data" / "blueprint"


def run(capsys: pytest.CaptureFixture[str], *argv: str) -> Any:
    assert main(["config", *argv]) == 0
    return json.loads(capsys.readouterr().out)


def test_show_tells_value_and_origin_but_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("a.json")  # a long path would be folded by the table
    path.write_text('{"exchanges": {"perp": {"id": "okx", "type": "swap",\n "secret": "c4n4ry"}}}')
    path.chmod(0o644)
    monkeypatch.setenv("FUNDARB__COSTS__TAKER", "0.0004")
    said = {}
    for form in ("table", "json"):
        assert main(["config", "show", "--config", str(path), *(["--json"] if form == "json" else [])]) == 0
        out, err = capsys.readouterr()
        said[form] = out
        assert "c4n4ry" not in out + err
        assert "a.json:2" in out
        assert "FUNDARB__COSTS__TAKER" in out
        assert "chmod 600" in out + err
    shown = json.loads(said["json"])
    assert shown["config"]["exchanges"]["perp"]["secret"] == "***"
    assert shown["config"]["costs"]["taker"] == 0.0004
    assert shown["sources"]["costs.taker"] == "FUNDARB__COSTS__TAKER"


def test_the_schema_takes_every_example_and_refuses_slips(capsys: pytest.CaptureFixture[str]) -> None:
    schema = run(capsys, "schema")
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    for path in (BLUEPRINT / "binance.json", BLUEPRINT / "bitget.json", ROOT / "config" / "example.json"):
        assert list(validator.iter_errors(parse(path.read_text()).tree)) == []
    for slip in (
        {"mode": "demo"},
        {"costs": {"taker": 5}},
        {"costs": {"makr": 0}},
        {"monitor": {"intervalSec": 0}},
        {"exchanges": {"perp": {"id": "binance"}}},
        {"paper": {"balances": {"binance": {"spot": {"USDT": -1}}}}},
        {"pairs": [{"symbol": "BTC/USDT", "legs": ["perp"]}]},
    ):
        assert list(validator.iter_errors(slip)), slip


def test_every_subject_has_a_schema_that_its_messages_fit(capsys: pytest.CaptureFixture[str]) -> None:
    schema = run(capsys, "schema", "--messages")
    Draft202012Validator.check_schema(schema)
    assert set(schema["subjects"]) == set(m.SUBJECT_TYPES)
    quote = m.Quote(
        venue="binance",
        instrument="BTC-USDT",
        bid=1.0,
        ask=2.0,
        bid_size=1.0,
        ask_size=1.0,
        ts_ms=1,
        recv_us=1,
    )
    health = m.VenueHealth(
        venue="binance",
        connected=True,
        ages_sec={"quote": 0.1},
        quarantined=(m.Quarantine(instrument=None, reason="x", text="y", since_ms=1),),
        recv_us=1,
    )
    history = m.FundingHistory(
        venue="binance",
        instrument="BTC-USDT-PERP",
        prints=(m.Settlement(settled_ms=1, rate=0.0001, interval_hours=8.0),),
        recv_us=1,
    )
    for subject, message in (("md.quote.*.*", quote), ("md.health.*", health), ("md.history.*.*", history)):
        validator = Draft202012Validator({**schema["subjects"][subject], "$defs": schema["$defs"]})
        payload = json.loads(m.encode(message))
        assert list(validator.iter_errors(payload)) == []
        for field in ("recv_us", "venue"):
            assert list(validator.iter_errors({**payload, field: []})), (subject, field)
            assert list(
                validator.iter_errors({name: value for name, value in payload.items() if name != field})
            )


def test_every_message_type_is_in_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    schema = run(capsys, "schema", "--messages")
    for kind in set(m.SUBJECT_TYPES.values()):
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        assert set(schema["$defs"][kind.__name__]["properties"]) == fields
