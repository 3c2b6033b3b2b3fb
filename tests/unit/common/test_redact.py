from __future__ import annotations

import time

import pytest

from libs.common.redact import HIDDEN, Redactor


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nats://fundarb:s3cr3t@127.0.0.1:4222", f"nats://fundarb:{HIDDEN}@127.0.0.1:4222"),
        ("redis://:s3cr3t@h:1/0", f"redis://:{HIDDEN}@h:1/0"),
        ("https://api.x.com/v1?symbol=BTC&signature=abc&x=1", f"https://api.x.com/v1?symbol=BTC&signature={HIDDEN}&x=1"),
        ('{"apiKey": "abc", "n": 1}', f'{{"apiKey": {HIDDEN}, "n": 1}}'),
        ("X-MBX-APIKEY: abc", f"X-MBX-APIKEY: {HIDDEN}"),
        ("Authorization: Bearer abc.def", f"Authorization: {HIDDEN}"),
        ("password=a, user=b", f"password={HIDDEN}, user=b"),
        ("BTC/USDT:USDT at https://api.binance.com/fapi", "BTC/USDT:USDT at https://api.binance.com/fapi"),
        ("12:30:05 funding rate 0.0001", "12:30:05 funding rate 0.0001"),
        ("mail me: a@b.com", "mail me: a@b.com"),
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_hidden_and_the_rest_stays(text: str, shown: str) -> None:
    assert Redactor().text(text) == shown


def test_registered_secrets_are_hidden_in_every_spelling() -> None:
    redactor = Redactor()
    redactor.add('p/a"ss word')
    assert redactor.text('p/a"ss word') == HIDDEN
    assert redactor.text("p%2Fa%22ss%20word") == HIDDEN
    assert redactor.text('{"x": "p/a\\"ss word"}') == f'{{"x": "{HIDDEN}"}}'


def test_the_longer_of_two_secrets_goes_first() -> None:
    redactor = Redactor()
    redactor.add("abcd", "abcdefgh")
    assert redactor.text("abcdefgh") == HIDDEN


def test_a_url_gives_its_password_decoded_too() -> None:
    redactor = Redactor()
    redactor.add_url("nats://u:one%2Ftwo@a:1,nats://u:three-four@b:2")
    redactor.add_url("nats://no.password:4222")
    assert redactor.text("one%2Ftwo one/two three-four") == f"{HIDDEN} {HIDDEN} {HIDDEN}"


def test_values_too_short_to_be_secrets_do_not_blank_out_text() -> None:
    redactor = Redactor()
    redactor.add("", "a", "BTC")
    assert redactor.text("BTC a day") == "BTC a day"


def test_structures_keep_their_shape() -> None:
    value = {"secret": "x", "n": 1, "ok": True, "none": None, "list": ["redis://:pw12@h"], "token": ""}
    assert Redactor().value(value) == {
        "secret": HIDDEN,
        "n": 1,
        "ok": True,
        "none": None,
        "list": [f"redis://:{HIDDEN}@h"],
        "token": "",
    }


@pytest.mark.parametrize(
    "hostile", ["x", "secret", "a://", "token=", "https://u:p", '"apiKey":"', "password "]
)
def test_hostile_texts_cost_little(hostile: str) -> None:
    """64 KB is the most that a bus message has; a quadratic pattern took 20 s for a quarter of that."""
    started_sec = time.process_time()  # of this process alone, however busy the machine is
    Redactor().text((hostile * 65_536)[:65_536])
    assert time.process_time() - started_sec < 2


def test_a_message_that_names_a_setting_keeps_its_words() -> None:
    """`known` hides values that are known, and does not take the words after `secret:` for one."""
    redactor = Redactor()
    redactor.add("hunter2hunter2")
    said = "config.json:3: exchanges.perp.secret: is missing"
    assert redactor.known(said) == said
    assert redactor.known("hunter2hunter2 at nats://me:pw@host") == "*** at nats://me:***@host"
