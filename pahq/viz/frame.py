"""What all figures have in common."""

from typing import Any

from pahq.viz.theme import Theme

BARE = {"showgrid": False, "zeroline": False, "showline": False, "ticks": ""}
Trace = dict[str, Any]


def frame(colours: Theme, *, title: str, **more: Any) -> dict[str, Any]:
    """Return what all figures have in common, and ``more``."""
    # Colours are explicit: importing Streamlit replaces Plotly's default template by placeholders.
    return {
        "template": colours.template,
        "paper_bgcolor": colours.surface,
        "plot_bgcolor": colours.surface,
        "font": {"color": colours.ink, "size": 13},
        "title": {"text": plain(title), "font": {"size": 15}},
        "showlegend": False,
        "hovermode": "closest",
        "margin": {"l": 60, "r": 20, "t": 60, "b": 30},
        **more,
    }


def plain(text: str) -> str:
    """Return text that Plotly does not read as HTML: ``a1.h2<q>`` is a name, not a tag."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
