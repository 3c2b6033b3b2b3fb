"""Addresses of servers as people give them: what cannot be one is refused in words without the password."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.server_url import BadUrl, nats_address, redis_address, with_url_files

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("nats://host", "host:4222"),
        ("tls://me:hunter2@host:4223", "host:4223"),
        ("nats://me:hunter2@a:1,nats://b:2", "a:1, b:2"),
    ],
)
def test_a_nats_url_has_an_address_that_may_be_shown(url: str, address: str) -> None:
    assert nats_address(url) == address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:hunter2@host", "host:6379"),
        ("rediss://me:hunter2@host:1/3", "host:1"),
        ("unix:///run/valkey.sock?db=0", "/run/valkey.sock"),
    ],
)
def test_a_redis_url_has_one_too(url: str, address: str) -> None:
    assert redis_address(url) == address


@pytest.mark.parametrize(
    "url",
    ["", "foo", "host:4222", "http://x", "nats://", "nats://h:99999", "nats://h:port", "redis://h",
     "nats://me:hunter2#x@h:1", "nats://me:x/hunter2@h:1", "nats://a,foo", "nats://[h"],
)  # fmt: skip
def test_what_is_no_nats_url(url: str) -> None:
    with pytest.raises(BadUrl, match="a NATS URL looks like nats://") as caught:
        nats_address(url)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "foo", "host:6379", "http://x", "redis://", "redis://h:99999", "nats://h", "unix://",
     "redis://:x/hunter2@h:1", "redis://h?db=x", "redis://h?hunter2=1", "rediss://h?ssl_cert_reqs=hunter2"],
)  # fmt: skip
def test_what_is_no_redis_url(url: str) -> None:
    with pytest.raises(BadUrl, match="a Redis URL looks like redis://") as caught:
        redis_address(url)
    assert SECRET not in str(caught.value)


def test_urls_come_out_of_files(tmp_path: Path) -> None:
    secret = tmp_path / "nats-url"
    secret.write_text("nats://feed:word@nats:4222\n")
    env = {"FUNDARB_NATS_URL_FILE": str(secret), "FUNDARB_REDIS_URL": "redis://u:p@valkey:6379/0"}
    found = with_url_files(env)
    assert found["FUNDARB_NATS_URL"] == "nats://feed:word@nats:4222"
    assert found["FUNDARB_REDIS_URL"] == env["FUNDARB_REDIS_URL"]


def test_a_file_that_is_missing_or_a_second_url_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadUrl, match=r"FUNDARB_REDIS_URL_FILE: .*nowhere: No such file"):
        with_url_files({"FUNDARB_REDIS_URL_FILE": str(tmp_path / "nowhere")})
    with pytest.raises(BadUrl, match="both set: unset one"):
        with_url_files({"FUNDARB_NATS_URL_FILE": str(tmp_path / "x"), "FUNDARB_NATS_URL": "nats://a:4222"})
