"""Pages that are made from the code: `python -m libs.console.docs` writes them, a test compares.

A table that is written by hand is wrong after the second change.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common.messages import SUBJECT_TYPES, Message
from libs.common.subjects import channel_of

MADE_BY: Final = "<!-- made by `make docs` from the code: change the code, not this page -->"


def _type_name(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return text.replace("|", "\\|")


def _fields(kind: type[Message]) -> list[str]:
    lines = ["| field | type | default |", "|---|---|---|"]
    for field in msgspec.structs.fields(kind):
        if field.default is not msgspec.NODEFAULT:
            default = f"`{field.default!r}`"
        elif field.default_factory is not msgspec.NODEFAULT:
            default = "empty"
        else:
            default = "required"
        annotation = _annotation(kind, field.name)
        lines.append(f"| `{field.name}` | `{_type_name(annotation)}` | {default} |")
    return lines


def _annotation(kind: type, name: str) -> Any:
    for base in kind.__mro__:
        found = inspect.get_annotations(base).get(name)
        if found is not None:
            return found
    return "?"


def subjects_page() -> str:
    """Every subject with its type, connection and fields."""
    lines = [
        "# Subjects and messages",
        "",
        MADE_BY,
        "",
        "JSON on every subject, so that `nats sub '>'` can be read. Times: `_us` wall, `_ms` market unless",
        "the text says otherwise. `fundarb config schema --messages` prints the JSON Schema of all of it.",
        "",
        "| subject | message | connection |",
        "|---|---|---|",
    ]
    for subject, kind in SUBJECT_TYPES.items():
        name = kind.__name__
        lines.append(f"| `{subject}` | [{name}](#{name.lower()}) | {channel_of(subject).value} |")
    for kind in dict.fromkeys(SUBJECT_TYPES.values()):
        lines += ["", f"## {kind.__name__}", "", inspect.getdoc(kind) or "", "", *_fields(kind)]
    return "\n".join(lines) + "\n"


def metrics_page() -> str:
    """Every metric with its type, labels and meaning."""
    from libs.common.metrics import METRICS  # noqa: PLC0415  (prometheus_client is heavy; the subjects need none)

    lines = [
        "# Metrics",
        "",
        MADE_BY,
        "",
        "Every service serves `/metrics` (feed 9101, signal 9102, venue 9106, recorder 9107, or a free one).",
        "Each series carries `deployment` and `service` besides the labels below.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for name, metric in METRICS.items():
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
        lines.append(f"| `{name}` | {metric.kind} | {labels} | {metric.text} |")
    return "\n".join(lines) + "\n"


PAGES: Final = {"docs/subjects.md": subjects_page, "docs/metrics.md": metrics_page}


def main(root: Path) -> int:
    """Write every page below `root`, say which ones changed."""
    for name, make in PAGES.items():
        path = root / name
        text = make()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(Path.cwd()))
