"""The effects of an earlier run as a small histogram, with the threshold's line."""

import math
from html import escape

import streamlit as st

from forecast import Forecast


def preview(found: Forecast | None) -> None:
    """Draw the histogram and how many edges would stay."""
    if found is None:
        return
    most = math.log1p(max(found.bins))
    bars = "".join(
        f'<i style="height:{100 * math.log1p(count) / most:.0f}%"'
        f' class="{"kept" if (i + 0.5) / len(found.bins) >= found.place else "cut"}"></i>'
        for i, count in enumerate(found.bins)
    )
    words = f"{'At least' if found.least else 'About'} {found.kept:,} of {found.edges:,} edges"
    st.html(
        f'<div class="forecast"><div role="img" aria-label="Sizes of the effects, and the '
        f'threshold">{bars}<b style="left:{100 * found.place:.1f}%"></b></div>'
        f"<p>{words} would stay <span>(estimate from {escape(found.source)})</span></p></div>"
    )
