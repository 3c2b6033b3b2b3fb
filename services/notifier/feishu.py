"""Feishu / Lark custom bot: card, signature, and what its answer means. Pure.

https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: the string to sign is the key of the HMAC,
its message is empty; the body has at most 20 KB; a bot takes 5 messages a second and 100 a minute. It answers
HTTP 200 also when it refuses, so only the code in the body counts. Bots of the first generation answer with
`StatusCode` in place of `code`, some with both.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any, Final

import msgspec

from libs.common.messages import AlertLevel
from services.notifier.model import Notice
from services.notifier.work import NotDelivered

_COLOURS: Final = {AlertLevel.CRITICAL: "red", AlertLevel.WARNING: "orange", AlertLevel.INFO: "blue"}
_REMEDIES: Final = {
    19001: "the webhook address is not that of a bot: copy it again",
    19021: "signature or time refused: compare `secret` with the bot's, and this machine's clock",
    19022: "this machine's address is not in the bot's list of allowed ones",
    19024: 'none of the bot\'s keywords occurs: add the keyword "fundarb"',
    11232: "too many messages for this bot: it will be tried again",
    9499: "the message is not understood",
}
_REFUSED: Final = frozenset({9499, 11246})
"""What will not be better the next time: it is the message itself."""


def sign(secret: str, *, timestamp_sec: int) -> str:
    """Base64 of the HMAC-SHA256 over nothing; the key is the timestamp, a line feed and the secret."""
    key = f"{timestamp_sec}\n{secret}".encode()
    return base64.b64encode(hmac.new(key, b"", hashlib.sha256).digest()).decode()


def body(notice: Notice, *, secret: str, timestamp_sec: int) -> bytes:
    """The JSON to post; signed when there is a secret."""
    signed = (
        {"timestamp": str(timestamp_sec), "sign": sign(secret, timestamp_sec=timestamp_sec)} if secret else {}
    )
    return msgspec.json.encode({**signed, "msg_type": "interactive", "card": card(notice)})


def card(notice: Notice) -> dict[str, Any]:
    """Coloured title, the text, facts in two columns, a note. Texts are plain: `*signs stay as they are."""
    elements: list[dict[str, Any]] = [
        {"tag": "div", "text": {"tag": "plain_text", "content": "\n".join(notice.lines)}}
    ]
    if notice.facts:
        fields = [
            {"is_short": True, "text": {"tag": "plain_text", "content": f"{name}: {value}"}}
            for name, value in notice.facts
        ]
        elements += [{"tag": "hr"}, {"tag": "div", "fields": fields}]
    note = f"fundarb  {notice.footer}".rstrip()  # the name is there for bots that ask for a keyword
    elements.append({"tag": "note", "elements": [{"tag": "plain_text", "content": note}]})
    return {
        "config": {"wide_screen_mode": True},
        "header": {
            "template": _COLOURS[notice.level],
            "title": {"tag": "plain_text", "content": notice.title},
        },
        "elements": elements,
    }


def check(status: int, answer: bytes) -> None:
    """Nothing when the bot has taken the message; `NotDelivered` says why not."""
    try:
        said = msgspec.json.decode(answer)
    except msgspec.DecodeError:
        raise NotDelivered(f"HTTP {status}, and no JSON in the answer") from None
    codes = [said[name] for name in ("code", "StatusCode") if name in said] if isinstance(said, dict) else []
    if 200 <= status < 300 and codes and all(code == 0 and code is not False for code in codes):
        return
    code = next((code for code in codes if code != 0), None)
    text = str(said.get("msg") or said.get("StatusMessage") or "") if isinstance(said, dict) else ""
    remedy = _REMEDIES.get(code, "") if isinstance(code, int) else ""
    words = "; ".join(part for part in (f"HTTP {status} code {code}", text[:200], remedy) if part)
    raise NotDelivered(words, refused=code in _REFUSED)
