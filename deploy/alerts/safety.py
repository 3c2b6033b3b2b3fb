"""Is the money safe: breakers, permits, exposure, margin, pairs, and what nothing explains.

Most of these do not need risk to be alive: they look at what the executor measures.
"""

from __future__ import annotations

from typing import Final

from deploy.alerts.rules import Case, Recorded, Rule, rising, steady, then

EXECUTOR: Final = 'deployment="main",service="executor"'
RISK: Final = 'deployment="main",service="risk"'
NAKED: Final = "deployment_pair:fundarb_naked_usd:avg1m"

RECORDED: Final = (
    Recorded(
        name=NAKED,
        expr="sum by (deployment, pair) (rate(fundarb_naked_usd_seconds_total[1m]))",
    ),
    Recorded(
        name="deployment:fundarb_pair_notional_usd:max",
        expr="max by (deployment) (fundarb_pair_notional_usd)",
    ),
)

RULES: Final = (
    Rule(
        name="Halted",
        severity="critical",
        expr='max by (deployment, scope) (fundarb_breaker_level{scope="global"}) >= 2',
        summary="Everything is halted: only reductions are let through",
        remedy="fundarb status names the control and what ends it; mend the cause, then fundarb reset.",
        runbook="a-breaker-is-not-normal",
        case=Case(
            fires={f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(2)},
            quiet={
                f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(1),
                f'fundarb_breaker_level{{{RISK},scope="venue:binance"}}': steady(3),
            },
        ),
    ),
    Rule(
        name="ScopeHalted",
        severity="warning",
        expr='max by (deployment, scope) (fundarb_breaker_level{scope!="global"}) >= 2',
        lasting="15s",
        summary="{{ $labels.scope }} is halted",
        remedy="fundarb status names the control and what ends it.",
        runbook="a-breaker-is-not-normal",
        case=Case(
            fires={f'fundarb_breaker_level{{{RISK},scope="pair:x"}}': steady(3)},
            quiet={
                f'fundarb_breaker_level{{{RISK},scope="pair:x"}}': steady(1),
                f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(2),
            },
        ),
    ),
    Rule(
        name="NothingIsOpened",
        severity="warning",
        expr='max by (deployment) (fundarb_breaker_level{scope="global"}) == 1',
        lasting="2m",
        summary="No pair is opened anywhere, for two minutes",
        remedy="fundarb status names the control; most leave by themselves.",
        runbook="a-breaker-is-not-normal",
        case=Case(
            fires={f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(1)},
            quiet={f'fundarb_breaker_level{{{RISK},scope="global"}}': then(0, 1, at_sec=240)},
        ),
    ),
    Rule(
        name="NoPermit",
        severity="critical",
        # A permit that never came has an age far beyond any threshold: a start must not page at once.
        expr="max by (deployment, service) (fundarb_permit_age_seconds) > 5",
        lasting="30s",
        summary="{{ $labels.service }} has not heard risk for more than 30 s: nothing may increase",
        remedy="Start risk again, mend the clocks, run one build everywhere.",
        runbook="no-permit",
        case=Case(
            fires={f"fundarb_permit_age_seconds{{{EXECUTOR}}}": "0+1x60"},
            quiet={f"fundarb_permit_age_seconds{{{EXECUTOR}}}": f"_x57 {steady(1e6, 10)}"},
        ),
    ),
    Rule(
        name="PermitLate",
        severity="warning",
        expr="max by (deployment, service) (fundarb_permit_age_seconds) > 1",
        lasting="15s",
        summary="Permits reach {{ $labels.service }} late, or not at all",
        remedy="See whether risk runs, and whether the machine is too small (Event loop late).",
        runbook="no-permit",
        case=Case(
            fires={f"fundarb_permit_age_seconds{{{EXECUTOR}}}": steady(1.5)},
            quiet={f"fundarb_permit_age_seconds{{{EXECUTOR}}}": then(0.3, 1.5, at_sec=290)},
        ),
    ),
    Rule(
        name="UnhedgedTooLong",
        severity="critical",
        expr=(
            f"{NAKED} > on (deployment, pair)"
            " clamp_min(0.05 * max by (deployment, pair) (fundarb_pair_notional_usd), 50)"
        ),
        lasting="2m",
        summary="{{ $labels.pair }} is unhedged by more than 50 USD and 5 % of a leg, for minutes",
        remedy="See what the pair waits for (fundarb positions); risk should have halted everything.",
        runbook="naked-exposure",
        case=Case(
            fires={
                f'fundarb_naked_usd_seconds_total{{{EXECUTOR},pair="x"}}': rising(80),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="x"}}': steady(1_000),
            },
            quiet={
                f'fundarb_naked_usd_seconds_total{{{EXECUTOR},pair="x"}}': rising(80),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="x"}}': steady(2_000),
                f'fundarb_naked_usd_seconds_total{{{EXECUTOR},pair="y"}}': rising(900, until_sec=60),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="y"}}': steady(1_000),
            },
        ),
    ),
    Rule(
        name="PairStuck",
        severity="critical",
        expr='max by (deployment, pair) (fundarb_pair_state{state="stuck"}) == 1',
        summary="{{ $labels.pair }} is stuck: only a person leads it out",
        remedy="Compare both legs with the venue's own page, make them equal, reset the pair.",
        runbook="a-pair-is-stuck",
        case=Case(
            fires={f'fundarb_pair_state{{{EXECUTOR},pair="x",state="stuck"}}': steady(1)},
            quiet={
                f'fundarb_pair_state{{{EXECUTOR},pair="x",state="stuck"}}': steady(0),
                f'fundarb_pair_state{{{EXECUTOR},pair="x",state="active"}}': steady(1),
            },
        ),
    ),
    Rule(
        name="PairHangs",
        severity="warning",
        expr=(
            "max by (deployment, pair)"
            ' (min_over_time(fundarb_pair_state{state=~"opening|closing|unwinding"}[4m])) == 1'
        ),
        lasting="45s",
        summary="{{ $labels.pair }} has been on its way for minutes",
        remedy="fundarb positions says what it waits for: an unknown order, a venue, the store.",
        runbook="a-pair-is-stuck",
        case=Case(
            fires={f'fundarb_pair_state{{{EXECUTOR},pair="x",state="unwinding"}}': steady(1)},
            quiet={
                f'fundarb_pair_state{{{EXECUTOR},pair="x",state="opening"}}': then(0, 1, at_sec=120),
                f'fundarb_pair_state{{{EXECUTOR},pair="y",state="active"}}': steady(1),
            },
        ),
    ),
    Rule(
        name="MarginRatioHigh",
        severity="warning",
        expr="max by (deployment, venue) (fundarb_margin_ratio) > 0.04",
        lasting="1m",
        summary="{{ $labels.venue }}: maintenance margin is above 4 % of equity",
        remedy="Transfer collateral to this venue.",
        runbook="margin-ratio",
        case=Case(
            fires={f'fundarb_margin_ratio{{{EXECUTOR},venue="binance"}}': steady(0.05)},
            quiet={f'fundarb_margin_ratio{{{EXECUTOR},venue="binance"}}': steady(0.04)},
        ),
    ),
    Rule(
        name="MarginRatioDangerous",
        severity="critical",
        expr="max by (deployment, venue) (fundarb_margin_ratio) > 0.10",
        summary="{{ $labels.venue }}: maintenance margin is above 10 % of equity",
        remedy="Transfer collateral now; see that both legs are being closed.",
        runbook="margin-ratio",
        case=Case(
            fires={f'fundarb_margin_ratio{{{EXECUTOR},venue="binance"}}': steady(0.11)},
            quiet={f'fundarb_margin_ratio{{{EXECUTOR},venue="binance"}}': steady(0.1)},
        ),
    ),
    Rule(
        name="DayLossUnanswered",
        severity="critical",
        expr=(
            "max by (deployment) (fundarb_day_loss_ratio) > 0.02 unless on (deployment)"
            ' (max by (deployment) (fundarb_breaker_level{scope="global"}) >= 2)'
        ),
        lasting="1m",
        summary="More than 2 % of the day's first equity is lost, and nothing is halted",
        remedy="fundarb halt --yes; then look for the cause.",
        runbook="loss-of-the-day",
        case=Case(
            fires={
                f"fundarb_day_loss_ratio{{{RISK}}}": steady(0.021),
                f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(1),
            },
            quiet={
                f"fundarb_day_loss_ratio{{{RISK}}}": steady(0.021),
                f'fundarb_breaker_level{{{RISK},scope="global"}}': steady(2),
            },
        ),
    ),
    Rule(
        name="MoneyUnexplained",
        severity="warning",
        expr=(
            "abs(max by (deployment) (fundarb_equity_residual_usd)) > on (deployment)"
            " clamp_min(0.0001 * deployment:fundarb_pair_notional_usd:max, 0.05)"
        ),
        lasting="2m",
        summary="Equity has changed by more than 1 bp of the largest leg, and no ledger line explains it",
        remedy="A transfer of yours is booked within minutes; else compare the venue's income history.",
        runbook="money-that-no-line-explains",
        case=Case(
            fires={
                f"fundarb_equity_residual_usd{{{EXECUTOR}}}": steady(-0.3),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="x"}}': steady(2_000),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="y"}}': steady(2_000),
            },
            quiet={
                f"fundarb_equity_residual_usd{{{EXECUTOR}}}": steady(-0.3),
                f'fundarb_pair_notional_usd{{{EXECUTOR},pair="x"}}': steady(4_000),
            },
        ),
    ),
)
