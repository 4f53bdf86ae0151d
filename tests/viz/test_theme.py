import pytest

from pahq import catalog
from pahq.viz.theme import (
    BITS,
    THEMES,
    WIDTHS,
    bits,
    borderline,
    encoding,
    ink_on,
    ramp,
    width_bin,
)


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_marks_and_text_can_be_told_from_the_background(name):
    theme = THEMES[name]
    for colour in [*theme.reads.values(), *theme.sign.values(), theme.accent, theme.flip]:
        assert contrast(colour, theme.surface) >= 3, colour
    assert contrast(theme.ink, theme.surface) >= 7
    assert contrast(theme.muted, theme.band) >= 4.5


@pytest.mark.parametrize("name", ["light", "dark"])
def test_letters_can_be_read_on_every_shade(name):
    theme = THEMES[name]
    for width, fill in theme.bits.items():
        assert contrast(theme.bits_ink[width], fill) >= 3.5, width


@pytest.mark.parametrize("name", ["light", "dark"])
def test_more_bits_stand_out_more(name):
    theme = THEMES[name]
    ramp = [contrast(theme.bits[w], theme.surface) for w in ("4", "8", "16", "32")]
    assert ramp == sorted(ramp)


@pytest.mark.parametrize("name", ["light", "dark"])
def test_costlier_stands_out_more_and_letters_can_be_read_on_it(name):
    theme = THEMES[name]
    fills = [ramp(theme.cost, i / 50) for i in range(51)]
    ratios = [contrast(fill, theme.surface) for fill in fills]
    assert ratios == sorted(ratios)
    assert min(contrast(ink_on(fill, theme), fill) for fill in fills) >= 3.5


def test_a_ramp_goes_through_its_stops():
    stops = ("#000000", "#101010", "#ffffff")
    assert [ramp(stops, share) for share in (-1.0, 0.0, 0.25, 0.5, 1.0, 2.0)] == [
        "#000000", "#000000", "#080808", "#101010", "#ffffff", "#ffffff",
    ]  # fmt: skip


def test_every_format_has_its_bits():
    assert {entry.name: entry.bits for entry in catalog.FORMATS} == BITS
    assert bits("from the future") == 32


def test_widths_grow_with_the_effect_and_stay_in_range():
    effects = (0.0, 0.01, 0.05, -0.3, 1.0, 9.0)
    bins = [width_bin(effect, threshold=0.01, largest=1.0) for effect in effects]
    assert bins == sorted(bins)
    assert bins[:2] == [0, 0]
    assert bins[-2:] == [len(WIDTHS) - 1] * 2
    assert width_bin(0.5, threshold=0.1, largest=0.0) == 0


def test_an_effect_within_a_fifth_of_the_threshold_is_borderline():
    assert borderline(0.0119, threshold=0.01)
    assert borderline(-0.0085, threshold=0.01)
    assert not borderline(0.013, threshold=0.01)


def test_the_browser_gets_plain_values():
    assert set(encoding()["themes"]) == {"light", "dark"}
