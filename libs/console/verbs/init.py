"""`fundarb init`: writes a commented config, after a few questions on a terminal."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from libs.common.config import names, pairing, units, venues
from libs.common.config.load import ConfigError, load_config
from libs.console import output
from libs.console.options import DEFAULT_CONFIG
from libs.console.output import OK, USAGE, UserError
from libs.console.template import Answers, render

NAME = "init"
HELP = "write a commented config (a wizard on a terminal, --yes for defaults)"

T = TypeVar("T")
Ask = Callable[[str], str]
TRIES_MAX: Final = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing is overwritten without --force."""
    parser.add_argument(
        "--yes", action="store_true", help="no questions: Binance and Bitget, six symbols, 1,000 USD"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=DEFAULT_CONFIG,
        metavar="FILE",
        help="where to write (default %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite an existing file")


def run(args: argparse.Namespace) -> int:
    """Write the file and say what comes next."""
    out: Path = args.out
    if out.suffix.lower() == ".toml":
        raise UserError(f"{out}: init writes JSON with comments; name a .json file", USAGE)
    if out.exists() and not args.force:
        raise UserError(f"{out} exists; --force overwrites it, --out names another file", USAGE)
    if not args.yes and not output.is_terminal(sys.stdin):
        raise UserError("fundarb init: no terminal to ask on; --yes takes the defaults", USAGE)
    answers = Answers() if args.yes else wizard(_prompt)
    write(out, render(answers))
    output.emit_text(f"wrote {out}\nnext: fundarb check --config {out}, then fundarb up --config {out}")
    return OK


def wizard(ask: Ask) -> Answers:
    """Ask for what depends on the user; Enter takes what stands in brackets."""
    start = Answers()
    chosen = _until_valid(ask, "Exchanges, the first one first", ", ".join(start.venues), _venues)
    # Hyperliquid quotes its perpetuals in USDC, and legs must have one quote
    usual = start.symbols if "hyperliquid" not in chosen else ("BTC/USDC", "ETH/USDC", "SOL/USDC")
    return Answers(
        venues=chosen,
        symbols=_until_valid(ask, "Symbols", ", ".join(usual), _symbols),
        notional_usd=_until_valid(
            ask, "USD per leg", f"{start.notional_usd:g}", lambda text: _number(text, "position.notional_usd")
        ),
        taker=_until_valid(
            ask,
            "Taker fee as a fraction (0.0005 is 5 bps)",
            f"{start.taker:g}",
            lambda text: _number(text, "costs.taker"),
        ),
        maker=_until_valid(
            ask, "Maker fee as a fraction", f"{start.maker:g}", lambda text: _number(text, "costs.maker")
        ),
        slippage_bps=_until_valid(
            ask,
            "Slippage per leg in bps",
            f"{start.slippage_bps:g}",
            lambda text: _number(text, "costs.slippage_bps"),
        ),
    )


def write(out: Path, text: str) -> None:
    """Put `text` at `out` in one step, after the loader has accepted it."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{out.name}-", suffix=".json", dir=out.parent)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})", USAGE) from error
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        load_config([Path(draft)], {})
        Path(draft).replace(out)
    except ConfigError as error:
        raise UserError(str(error).replace(draft, str(out)), USAGE) from error
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})", USAGE) from error
    finally:
        Path(draft).unlink(missing_ok=True)


class Unfit(Exception):
    """An answer that cannot be used, in words."""


def _until_valid(ask: Ask, question: str, default: str, read: Callable[[str], T]) -> T:
    for _ in range(TRIES_MAX):
        text = ask(f"{question} [{default}]: ").strip() or default
        try:
            return read(text)
        except Unfit as error:
            output.emit_text(f"  {error}")
    raise UserError(f"fundarb init: no usable answer to {question!r}; nothing was written", USAGE)


def _prompt(question: str) -> str:
    try:
        return input(question)
    except EOFError:
        raise UserError("\nfundarb init: the input ended; nothing was written", USAGE) from None


def _venues(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().lower() for part in text.split(",") if part.strip()))
    for venue in found:
        if venue not in venues.FIRST_CLASS:
            close = venues.FORMER_NAMES.get(venue) or names.nearest(venue, list(venues.FIRST_CLASS))
            hint = f"did you mean {close}?" if close else f"known are {', '.join(venues.FIRST_CLASS)}"
            raise Unfit(f"{venue}: unknown; {hint}")
    if not found:
        raise Unfit("name at least one exchange")
    if found == ("hyperliquid",):
        raise Unfit("hyperliquid alone has no second leg: add another exchange")
    return found


def _symbols(text: str) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(part.strip().upper() for part in text.split(",") if part.strip()))
    for symbol in found:
        if pairing.SYMBOL.fullmatch(symbol) is None or ":" in symbol:
            hint = pairing.spelled(symbol)
            raise Unfit(f"{symbol}: write BASE/QUOTE{f', like {hint}' if hint else ''}")
    if not found:
        raise Unfit("name at least one symbol, like BTC/USDT")
    return found


def _number(text: str, key: str) -> float:
    try:
        value: float = msgspec.convert(text, float, strict=False)
    except msgspec.ValidationError:
        raise Unfit(f"{text}: write a plain number") from None
    if not float("-inf") < value < float("inf"):
        raise Unfit(f"{text}: write a finite number")
    beyond = units.out_of_bounds(key, value)
    if beyond is not None:
        raise Unfit("; ".join(part for part in beyond if part))
    return value
