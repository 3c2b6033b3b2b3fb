"""Names, venues, and secrets that never show."""

from __future__ import annotations

import io
import json
from pathlib import Path

import ccxt
import pytest
from rich.console import Console

from libs.common.config import names, venues
from libs.common.config.load import ConfigError, load_config, load_with_report, secrets_of
from libs.common.config.redact import redacted
from libs.common.config.schema import ALIASES, BPS_ALIASES
from tests.unit.config.base import with_value, write

CANARY = "c4n4ry-5ecret"


def test_the_list_of_exchanges_is_that_of_the_library() -> None:
    assert frozenset(ccxt.exchanges) == venues.KNOWN
    assert set(venues.FIRST_CLASS) <= venues.KNOWN
    assert set(venues.FORMER_NAMES.values()) <= venues.KNOWN
    assert not set(venues.FORMER_NAMES) & venues.KNOWN


def test_every_alias_leads_to_a_setting() -> None:
    paths = names.all_paths()
    for alias, target in (ALIASES | BPS_ALIASES).items():
        assert paths[alias] == target
        assert paths[target] == target


@pytest.mark.parametrize(
    ("written", "ours"),
    [
        ("costs.borrowRateDaily", "costs.borrow_daily"),
        ("costs.borrow_rate_daily", "costs.borrow_daily"),
        ("costs.borrowDaily", "costs.borrow_daily"),
        ("costs.transfer_fixed", "costs.transfer_usd"),
        ("costs.takerBps", "costs.taker"),
        ("costs.venues.*.taker_bps", "costs.venues.*.taker"),
        ("exchanges.*.apiKeyFile", "exchanges.*.api_key"),
        ("monitor.snapshotEveryMin", "monitor.snapshot_every_min"),
    ],
)
def test_spellings(written: str, ours: str) -> None:
    assert names.all_paths()[written] == ours


def full_of_canaries(folder: Path) -> Path:
    tree = with_value(
        ("exchanges", "perp"),
        {
            "id": "okx",
            "type": "swap",
            "apiKey": f"{CANARY}-1",
            "secret": f"{CANARY}-2",
            "password": f"{CANARY}-3",
            "options": {"walletAddress": f"{CANARY}-4", "defaultType": "swap"},
        },
    )
    tree["notify"] = {"heartbeat_url": f"https://x.example/{CANARY}-5"}
    path = write(folder, tree)
    path.chmod(0o600)
    return path


def test_no_secret_shows_in_any_form_of_a_config(tmp_path: Path) -> None:
    loaded = load_with_report([full_of_canaries(tmp_path)], {})
    config = loaded.config
    assert len(secrets_of(config)) == 5, "an option that looks like one too"
    assert all(secret.startswith((CANARY, "https://")) for secret in secrets_of(config))
    shown = json.dumps(redacted(config)) + repr(config.notify) + f"{loaded.sources}{loaded.warnings}"
    assert CANARY not in shown
    assert shown.count("***") >= 5
    assert CANARY not in repr(config.exchanges["perp"].api_key[:0]) + str(redacted(config))
    output = io.StringIO()
    Console(file=output, width=300).print(config.notify, redacted(config))
    assert CANARY not in output.getvalue()
    for name in ("api_key", "secret", "password"):
        assert f"{name}='***'" in repr(config.exchanges["perp"])


@pytest.mark.parametrize("key", ["apiKey", "secret", "password"])
@pytest.mark.parametrize("value", [[CANARY], {CANARY: 1}, 4242424242])
def test_no_secret_shows_in_a_refusal(tmp_path: Path, key: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([write(tmp_path, with_value(("exchanges", "perp", key), value))], {})
    assert CANARY not in str(caught.value)
    assert "4242424242" not in str(caught.value)
    assert f"exchanges.perp.{key}" in str(caught.value)


def test_no_secret_shows_in_a_syntax_error(tmp_path: Path) -> None:
    path = write(tmp_path, f'{{"exchanges": {{"perp": {{"secret": "{CANARY}" x }} }} }}')
    with pytest.raises(ConfigError) as caught:
        load_config([path], {})
    assert CANARY not in str(caught.value)
