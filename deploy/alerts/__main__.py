"""Write the rules: `python -m deploy.alerts` (or `make dashboards`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from deploy.alerts import controls, plumbing, safety, services
from deploy.alerts.rules import Recorded, Rule, file_of, links

FOLDER: Final = Path(__file__).resolve().parents[1] / "prometheus" / "rules"
GROUPS: Final[dict[str, tuple[tuple[Recorded, ...], tuple[Rule, ...]]]] = {
    "safety": (safety.RECORDED, safety.RULES),
    "controls": ((), controls.RULES),
    "services": ((), services.RULES),
    "plumbing": (plumbing.RECORDED, plumbing.RULES),
}
RULES: Final = tuple(rule for _, rules in GROUPS.values() for rule in rules)


def files() -> dict[str, str]:
    """File name -> YAML."""
    known = links()
    return {
        f"{name}.yml": file_of(name, recorded, rules, known) for name, (recorded, rules) in GROUPS.items()
    }


def main() -> int:
    """Write all of them, and say which changed."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in files().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stderr.write(f"wrote {path.relative_to(FOLDER.parents[2])}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
