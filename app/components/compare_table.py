"""Runs beside each other in numbers, one a row; on a narrow screen one a card."""

from collections.abc import Sequence
from html import escape

import streamlit as st

from columns import NOTHING, Measure, Row, measures


def compare_table(rows: Sequence[Row]) -> None:
    """Draw the table; the first row is the reference."""
    columns = measures(rows)
    most = [_most(column, rows) for column in columns]
    head = "".join(f"<th>{_explained(column)}</th>" for column in columns)
    body = "".join(_row(i, row, columns, most) for i, row in enumerate(rows))
    notes = "".join(
        f"<div><dt>{escape(column.title)}</dt><dd>{escape(column.help)}</dd></div>"
        for column in columns
    )
    st.html(
        f'<div class="compare-table"><table><thead><tr><th>Run</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table><details><summary>What the columns mean</summary>"
        f"<dl>{notes}</dl></details></div>"
    )


def _explained(column: Measure) -> str:
    title, words = escape(column.title), escape(column.help)
    return f'<span tabindex="0" data-tip="{words}" aria-label="{title}: {words}">{title}</span>'


def _row(i: int, row: Row, columns: Sequence[Measure], most: Sequence[float]) -> str:
    cells = "".join(_cell(row, c, top) for c, top in zip(columns, most, strict=True))
    role = '<b class="role">A</b>' if i == 0 else ""
    name = f"{role}{escape(row.entry.policy)}<small>{escape(row.entry.when)}</small>"
    return f'<tr data-run="{escape(row.entry.id)}"><th scope="row">{name}</th>{cells}</tr>'


def _cell(row: Row, column: Measure, most: float) -> str:
    size = column.size(row) if column.size else None
    bar = "" if size is None else f'<i style="width:{100 * size / most:.0f}%"></i>'
    text, title = column.text(row), escape(column.title)
    kind = "none" if text == NOTHING else "value"
    return f'<td class="{kind}" data-label="{title}">{escape(text)}<s>{bar}</s></td>'


def _most(column: Measure, rows: Sequence[Row]) -> float:
    sizes = [column.size(row) or 0.0 for row in rows] if column.size else []
    return max(sizes, default=0.0) or 1.0
