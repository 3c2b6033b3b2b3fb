"""What risk's controls find: one alert for each row of docs/risk.md, each with its own remedy.

Risk tells people by itself as well (`risk:{control}:{scope}`, through the store). These come another way:
they arrive while the store, the bus or risk's own alerts do not.
"""

from __future__ import annotations

from typing import Final

from deploy.alerts.rules import Case, Rule, Severity, steady

UNTOLD: Final = {"permit_heartbeat": "NoPermit and PermitLate: the permit's age as the executor sees it"}
"""Controls of docs/risk.md without an alert of their own, and which one stands for them."""


def _control(
    name: str,
    control: str,
    severity: Severity,
    summary: str,
    remedy: str,
    *,
    runbook: str,
    level: str = "> 0",
    lasting: str = "0s",
    fires_at: float = 1,
    quiet_at: float | None = None,
    counted: bool = False,
) -> Rule:
    """`control` may be a pattern; `level`: of which levels it speaks. `counted`: one alert for all scopes,
    for what befalls many symbols at once.
    """
    which = f'control{"=~" if set("|.*") & set(control) else "="}"{control}"'
    first = control.partition("|")[0].removesuffix(".*")
    labels = f'deployment="main", service="risk", scope="venue:binance", control="{first}"'
    quiet = f"fundarb_control_level{{{labels.replace(first, 'another')}}}"
    return Rule(
        name=name,
        severity=severity,
        expr=f"count by (deployment, control) (fundarb_control_level{{{which}}} {level})"
        if counted
        else f"max by (deployment, scope, control) (fundarb_control_level{{{which}}}) {level}",
        summary=f"{'{{ $value }} scopes' if counted else '{{ $labels.scope }}'}: {summary}",
        remedy=remedy,
        runbook=runbook,
        lasting=lasting,
        case=Case(
            fires={f"fundarb_control_level{{{labels}}}": steady(fires_at)},
            quiet={quiet: steady(3)}
            if quiet_at is None
            else {f"fundarb_control_level{{{labels}}}": steady(quiet_at)},
        ),
    )


RULES: Final = (
    _control(
        "NakedExposure",
        "naked_exposure",
        "critical",
        "a pair is unhedged for longer than a rescue takes, and everything is halted",
        "See what the pair waits for (fundarb positions); never close one leg alone unless you mean to.",
        runbook="naked-exposure",
    ),
    _control(
        "PairGivenUp",
        "stuck",
        "critical",
        "the executor has given a pair up",
        "Make the legs equal by hand, then reset the pair.",
        runbook="a-pair-is-stuck",
    ),
    _control(
        "ExecutorUnheard",
        "executor_silent",
        "critical",
        "risk does not hear the executor while something is held",
        "Start the executor again: it resolves what is open first.",
        runbook="the-executor-is-silent",
    ),
    _control(
        "KeyUnsafe",
        "api_key",
        "critical",
        "an API key may not be used as it is, and everything is halted",
        "Mend the key at the venue, have it looked at (fundarb reload), then reset.",
        runbook="a-key-is-unsafe",
        fires_at=2,
    ),
    _control(
        "UnknownOrder",
        "unknown_orders",
        "warning",
        "an order was sent and not answered clearly",
        "Wait: nothing replaces it before the venue has said what became of it.",
        runbook="unknown-orders",
        level="== 1",
        lasting="1m",
        quiet_at=2,
    ),
    _control(
        "UnknownOrders",
        "unknown_orders",
        "critical",
        "three orders within ten minutes are unknown, and everything is halted",
        "Look the orders up at the venue (client ids begin with fa); reset when they are resolved.",
        runbook="unknown-orders",
        level=">= 2",
        fires_at=2,
        quiet_at=1,
    ),
    _control(
        "PositionsDisagree",
        "reconcile",
        "critical",
        "the venue shows another position than our fills add up to, and the pair is halted",
        "Undo what was traded by hand, or close the pair; then reset it.",
        runbook="positions-disagree",
        fires_at=2,
    ),
    _control(
        "DayLoss",
        "daily_loss.*",
        "critical",
        "the loss of the day has passed a step (1, 2 or 4 % of equity)",
        "Find the cause in fundarb positions; above 2 % a reset is needed.",
        runbook="loss-of-the-day",
    ),
    _control(
        "EquityUnknown",
        "equity_unknown",
        "critical",
        "equity is unknown, the rule of the day's loss is suspended",
        "Mend the key or wait for the venue.",
        runbook="equity-is-unknown",
    ),
    _control(
        "CollateralLow",
        "collateral_warn",
        "warning",
        "liquidation is nearer than 15 % (or the margin ratio above 4 %)",
        "Add collateral on the losing side.",
        runbook="liquidation-is-near",
        level=">= 0",  # a warning forbids nothing: its level is 0, and it is shown only while it lasts
        fires_at=0,
    ),
    _control(
        "PairShrinks",
        "collateral_shrink",
        "critical",
        "collateral is short, both legs are being reduced",
        "Add collateral; what was reduced is not opened again by itself.",
        runbook="a-pair-is-shrunk",
    ),
    _control(
        "PairFlattened",
        "collateral_flatten",
        "critical",
        "liquidation is nearer than 5 %, the pair is being closed",
        "Watch both legs close; add collateral if the venue does not answer.",
        runbook="liquidation-is-near",
        fires_at=3,
    ),
    _control(
        "PriceJumps",
        "price_jump",
        "warning",
        "the price has jumped, nothing is opened on it",
        "Nothing needs to be done: a hedge does not care. See that the feed is right.",
        runbook="a-price-jumps",
        level="== 1",
        lasting="1m",
        counted=True,
        quiet_at=2,
    ),
    _control(
        "PriceJumpsFar",
        "price_jump",
        "critical",
        "the price has jumped by a tenth, only reductions are let through",
        "Look at margin and at both legs.",
        runbook="a-price-jumps",
        level=">= 2",
        fires_at=2,
        quiet_at=1,
    ),
    _control(
        "SlippageHigh",
        "slippage|slippage_once",
        "warning",
        "fills are much worse than modelled",
        "Lower the notional, raise costs.slippage_bps to what is real, or use maker_first.",
        runbook="slippage-is-high",
        counted=True,
    ),
    _control(
        "OrdersFail",
        "order_failures",
        "warning",
        "three orders were rejected within ten minutes, nothing is opened there",
        "fundarb check finds filters that changed, funds in the wrong wallet, a missing permission.",
        runbook="orders-fail",
    ),
    _control(
        "TooManyAttempts",
        "open_attempts",
        "warning",
        "a pair tries to open again and again, it is stopped",
        "Find out why each attempt fails, then reset the pair.",
        runbook="too-many-attempts",
    ),
    _control(
        "UnwindsRepeat",
        "churn",
        "warning",
        "three unwinds within an hour, the symbol rests for a day",
        "The alerts of the unwinds name their reasons.",
        runbook="unwinds",
    ),
    _control(
        "VenueFails",
        "venue_errors",
        "warning",
        "a fifth of the calls fail, or answers take over 3 s: nothing is opened there",
        "Wait, or take load from the address; held pairs stay hedged.",
        runbook="a-venue-fails",
    ),
    _control(
        "LimitReached",
        "limits",
        "info",
        "what is held is at or over a limit of the config",
        "Raise the limit on purpose, or leave it.",
        runbook="limits-are-reached",
        lasting="2m",
    ),
    _control(
        "DataTooOld",
        "data_age",
        "warning",
        "data is too old to open on",
        "One venue: its status page. Everything: the network, or a machine that is too small.",
        runbook="data-is-old",
        lasting="2m",
        counted=True,
    ),
    _control(
        "ClockFarOff",
        "clock_offset",
        "warning",
        "its clock and ours differ by more than 500 ms, nothing is opened there",
        "Run chrony or systemd-timesyncd on this machine.",
        runbook="a-clock-is-wrong",
    ),
    _control(
        "ProcessClocksDiffer",
        "process_clock",
        "warning",
        "two processes of ours have clocks that differ by more than 250 ms",
        "Run chrony on every machine that runs a service.",
        runbook="a-clock-is-wrong",
    ),
    _control(
        "BuildsDiffer",
        "build",
        "warning",
        "services run different builds, nothing is opened",
        "Restart all services after an update, not some.",
        runbook="no-permit",
        lasting="1m",
    ),
    _control(
        "StillPaused",
        "operator_pause",
        "info",
        "openings have been paused by the operator for two minutes or longer",
        "fundarb resume undoes it.",
        runbook="a-breaker-is-not-normal",
        lasting="2m",
    ),
    _control(
        "OperatorHalt",
        "operator_halt|operator_flatten",
        "warning",
        "the operator's halt or flatten is in force",
        "fundarb reset ends it, when what led to it is mended.",
        runbook="a-breaker-is-not-normal",
        fires_at=2,
    ),
)
