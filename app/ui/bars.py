"""Probabilities as a table with bars."""

from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st

_STYLE = """<style>
.bars {overflow-x: auto; margin-bottom: 0.5rem}
.bars table {width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums}
.bars th, .bars td {padding: 0.4rem; border-bottom: 1px solid #cfd8d3; text-align: left}
.bars th {font-weight: 600; font-size: 0.875rem}
.bars tbody th {font-weight: 400; font-size: 1rem; width: 60%}
.bars .number {text-align: right; white-space: nowrap}
.bars .named {display: grid; grid-template-columns: 1fr 1fr; gap: 0.2rem 0.5rem; align-items: center}
.bars .bar {background: #2d6a4f; height: 0.7rem; border-radius: 0.2rem; min-width: 2px}
@media (max-width: 40rem) {.bars .named {grid-template-columns: 1fr} .bars tbody th, .bars td {font-size: 0.875rem}}
</style>"""


def bars(
    heading: str,
    names: Sequence[str],
    shares: Sequence[float],
    others: Mapping[str, Sequence[str]] | None = None,
    share: str = "Probability",
) -> None:
    """Draw a row for each name: its share as a bar and a number, then further cells."""
    others = others or {}
    head = f'<th scope="col">{escape(heading)}</th>' + "".join(
        f'<th scope="col" class="number">{escape(name)}</th>' for name in [share, *others]
    )
    rows = [
        f'<tr><th scope="row"><div class="named">{escape(name)}<div><div class="bar" style="width: {100 * part:.1f}%">'
        "</div></div></div></th>"
        + "".join(f'<td class="number">{escape(cell)}</td>' for cell in [percent(part), *more])
        + "</tr>"
        for name, part, *more in zip(names, shares, *others.values(), strict=True)
    ]
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    st.html(f'{_STYLE}<div class="bars">{table}</div>')


def percent(share: float) -> str:
    """Format a share as a percentage.

    >>> percent(0.8194), percent(0.0001), percent(0.0)
    ('81.9 %', '< 0.1 %', '0.0 %')
    """
    return "< 0.1 %" if 0 < share < 0.0005 else f"{share:.1%}".replace("%", " %")


def decimals(numbers: Sequence[float]) -> list[str]:
    """Format cosine similarities with three decimals.

    >>> decimals([0.76412])
    ['0.764']
    """
    return [f"{number:.3f}" for number in numbers]
