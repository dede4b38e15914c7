"""What a simulation says, as one HTML page that asks no other host for anything."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console, RenderableType

from feasible.report.simulated import simulated_parts, simulated_sentence
from feasible.simulation import CurvePoint, Simulated

__all__ = ["STYLE", "simulated_page"]

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 240, 60, 30
_COLOURS: Final = ("#1f6f8b", "#c2572b", "#5c7f32", "#7a4f9a")
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;
color:#1c1c1c;background:#fff}
h1{font-size:1.4rem}pre{overflow-x:auto;font:13px/1.35 ui-monospace,monospace}
figure{margin:1rem 0}figcaption{font-size:.9rem}svg{max-width:100%;height:auto}
text{font:11px system-ui,sans-serif;fill:currentColor}
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#161616}}
"""


def simulated_page(found: Simulated) -> str:
    """Give the page: the sentence, charts over the load, and every table of the terminal."""
    charts = "".join(_charts(found.curve)) if found.curve else ""
    tables = html.escape(_as_text(list(simulated_parts(found))[1:]))
    title = html.escape(f"{found.name}: {found.scenario}")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        f"<h1>{html.escape(simulated_sentence(found))}</h1>{charts}<pre>{tables}</pre>"
        "</body></html>\n"
    )


def _as_text(parts: Sequence[RenderableType]) -> str:
    out = io.StringIO()
    console = Console(file=out, width=140, color_system=None)
    for part in parts:
        console.print(part)
    return out.getvalue()


def _charts(curve: Sequence[CurvePoint]) -> Iterator[str]:
    x = [point.multiple for point in curve]
    yield _chart(
        "Latency over load (ms, both on logarithmic scales)",
        x,
        {
            "p50": [p.p50_ms for p in curve],
            "p95": [p.p95_ms for p in curve],
            "p99": [p.p99_ms for p in curve],
            "p99 of useful answers": [p.p99_useful_ms for p in curve],
        },
        is_log=True,
    )
    names = list(dict.fromkeys(name for point in curve for name in point.tiers))
    shares = {name: [100 * p.tiers.get(name, 0.0) for p in curve] for name in names}
    yield _chart(
        "Who answers, and how much is degraded (%)",
        x,
        shares | {"degraded": [100 * p.degraded for p in curve]},
        is_log=False,
    )


def _chart(title: str, x: Sequence[float], lines: dict[str, list[float]], *, is_log: bool) -> str:
    top = max(max(values) for values in lines.values()) or 1.0
    low = min(v for values in lines.values() for v in values if v > 0) if is_log else 0.0
    across = math.log(x[-1] / x[0])

    def place(at: float, value: float) -> str:
        part = math.log(max(value, low) / low) / math.log(top / low) if is_log and top > low else 0
        part = part if is_log else value / top
        px = _LEFT + (_WIDTH - _LEFT) * math.log(at / x[0]) / across
        return f"{px:.1f},{(_HEIGHT - _BOTTOM) * (1 - part) + 5:.1f}"

    drawn, legend = [], []
    for i, (name, values) in enumerate(lines.items()):
        points = " ".join(place(at, value) for at, value in zip(x, values, strict=True))
        colour, dash = _COLOURS[i % len(_COLOURS)], "5 3" if i >= len(_COLOURS) else "0"
        drawn.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        legend.append(f'<span style="color:{colour}">&#9632;</span> {html.escape(name)}')
    ticks = "".join(
        f'<text x="{_LEFT + (_WIDTH - _LEFT) * math.log(at / x[0]) / across:.0f}" '
        f'y="{_HEIGHT - 8}" text-anchor="middle">{at:.3g}x</text>'
        for at in x[:: max(1, len(x) // 6)]
    )
    ends = (
        f'<text x="4" y="14">{top:,.4g}</text><text x="4" y="{_HEIGHT - _BOTTOM}">{low:,.3g}</text>'
    )
    return (
        f"<figure><figcaption>{html.escape(title)}<br>{' '.join(legend)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH + 20} {_HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(drawn)}{ticks}{ends}</svg></figure>"
    )
