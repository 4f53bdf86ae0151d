"""Colours and glyphs, in one place for the app's drawing and for exported figures.

Every fact that has a colour also has a shape, a dash, a width or a letter. Colours are those of
Okabe and Ito, darkened on white where the original has less than 3:1 contrast.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

WIDTHS = (0.8, 1.2, 1.7, 2.3, 3.0, 3.8, 4.7, 5.6)  # px of an edge, in bins of log |effect|
SYMBOLS = {"head": "square", "mlp": "diamond", "input": "triangle-up", "logits": "triangle-down"}
BORDERLINE = 0.2  # an effect within 20% of the threshold: could have gone the other way
BITS = {"fp32": 32, "bf16": 16, "fp16": 16, "fp8-e4m3": 8,
        "fp8-e4m3-unscaled": 8, "fp8-e5m2": 8, "int8": 8, "int4": 4}  # fmt: skip


@dataclass(frozen=True)
class Theme:
    """One colour scheme.

    Attributes:
        name: ``light`` or ``dark``.
        surface: behind a picture.
        band: every other layer's background.
        ink: text and the outline of what is in the circuit.
        muted: labels.
        faint: undecided outlines and guide lines; 3:1 is not needed, shape carries the fact.
        template: plotly's template for exports.
        bits: number of bits -> fill; more bits stand out more from the surface.
        bits_ink: number of bits -> colour of the letter on that fill.
        reads: kind of receiver -> colour of the edge into it.
        sign: ``up`` (cutting it hurts) and ``down`` (cutting it helps).
        order: first and last colour of "order found".
        cost: from the cheapest to the costliest; cividis, turned so that costly stands out.
        flip: components with edges whose verdict is not that of full precision.
        accent: focus ring and selection.
    """

    name: str
    surface: str
    band: str
    ink: str
    muted: str
    faint: str
    template: str
    bits: dict[str, str]
    bits_ink: dict[str, str]
    reads: dict[str, str]
    sign: dict[str, str]
    order: tuple[str, ...]
    cost: tuple[str, ...]
    flip: str
    accent: str

    def as_dict(self) -> dict[str, Any]:
        """Return the theme as JSON."""
        return asdict(self)


# Nunez et al. 2018, made to look alike with and without colour blindness.
CIVIDIS = (
    "#00224e", "#123570", "#3b496c", "#575d6d", "#707173",
    "#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838",
)  # fmt: skip
LIGHT = Theme(
    name="light",
    surface="#ffffff",
    band="#f5f7f9",
    ink="#16202b",
    muted="#5a6672",
    faint="#b3bdc7",
    template="plotly_white",
    bits={"32": "#0b4a7a", "16": "#4389bb", "8": "#a5cde6", "4": "#dcebf6"},
    bits_ink={"32": "#ffffff", "16": "#ffffff", "8": "#10314a", "4": "#10314a"},
    reads={"q": "#c26a00", "k": "#2487c0", "v": "#00805c", "mlp": "#ad4d85", "logits": "#3d4a57"},
    sign={"up": "#0072b2", "down": "#d55e00"},
    order=("#9fb4c7", "#5d8fb8", "#2a6ca3", "#0b4a7a", "#06263f"),
    cost=CIVIDIS[::-1],
    flip="#b85b92",
    accent="#d55e00",
)
DARK = Theme(
    name="dark",
    surface="#141a21",
    band="#19212a",
    ink="#e8edf2",
    muted="#9aa7b4",
    faint="#4b5866",
    template="plotly_dark",
    bits={"32": "#a8d8fa", "16": "#5a9fd0", "8": "#2c5f86", "4": "#20384c"},
    bits_ink={"32": "#0b2236", "16": "#07182a", "8": "#eaf4fc", "4": "#d5e6f3"},
    reads={"q": "#e69f00", "k": "#56b4e9", "v": "#2fc796", "mlp": "#dd8fbd", "logits": "#c3ccd6"},
    sign={"up": "#56b4e9", "down": "#f0823c"},
    order=("#3a4c5d", "#426e91", "#5a9fd0", "#a8d8fa", "#eef8ff"),
    cost=CIVIDIS,
    flip="#e59bc6",
    accent="#f0a03c",
)
THEMES = {"light": LIGHT, "dark": DARK}


def bits(fmt: str) -> int:
    """Return the number of bits of a format; 32 for one this version does not know."""
    return BITS.get(fmt, 32)


def ink_on(fill: str, theme: Theme) -> str:
    """Return the colour of a letter on ``fill``: ink or surface, whichever is told apart better."""
    light, ends = luminance(fill), (theme.ink, theme.surface)
    return max(ends, key=lambda ink: _contrast(luminance(ink), light))


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``, as WCAG defines it: 0 black, 1 white."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(a: float, b: float) -> float:
    return (max(a, b) + 0.05) / (min(a, b) + 0.05)


def ramp(stops: tuple[str, ...], share: float) -> str:
    """Return the colour at ``share`` (0 to 1) of the way through ``stops``."""
    place = min(max(share, 0.0), 1.0) * (len(stops) - 1)
    low = min(int(place), len(stops) - 2)
    start, end = (
        [int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in stops[low : low + 2]
    )
    mixed = (round(a + (b - a) * (place - low)) for a, b in zip(start, end, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def width_bin(effect: float, *, threshold: float, largest: float) -> int:
    """Return which of ``WIDTHS`` an edge gets.

    Kept effects span orders of magnitude, so widths follow their logarithm, from the threshold
    to the largest effect: on a linear scale one edge would make all others hairlines.
    """
    if abs(effect) <= threshold or largest <= threshold:
        return 0
    share = math.log(abs(effect) / threshold) / math.log(largest / threshold)
    return min(int(share * len(WIDTHS)), len(WIDTHS) - 1)


def borderline(effect: float, *, threshold: float) -> bool:
    """Return whether the effect lies within 20% of the threshold."""
    return abs(abs(effect) - threshold) <= BORDERLINE * threshold


def encoding() -> dict[str, Any]:
    """Return all of the above as the browser needs it."""
    return {
        "themes": {name: theme.as_dict() for name, theme in THEMES.items()},
        "widths": list(WIDTHS),
        "symbols": SYMBOLS,
        "borderline": BORDERLINE,
        "bits": BITS,
    }
