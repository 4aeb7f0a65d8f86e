"""Numbers, times and lists as readers want them: three significant figures, one form everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate

from nextscan.errors import some

NONE = "–"


def decimals(values: Iterable[float], significant: int = 3) -> int:
    """Return the decimals that show the typical one of the values with so many significant figures.

    >>> decimals([0.904, 0.83]), decimals([4.07, 12.0, 6.2]), decimals([1160.0])
    (3, 2, 0)
    """
    sizes = sorted(abs(value) for value in values if math.isfinite(value) and value != 0)
    if not sizes:
        return 2
    middle = max(sizes[(len(sizes) - 1) // 2], sizes[-1] / 100)
    return min(6, max(0, significant - 1 - math.floor(math.log10(middle) + 1e-9)))


def number(value: float, places: int | None = None) -> str:
    """Write a number with three significant figures, or with the given decimals.

    >>> number(0.43012), number(1234.5), number(-3.2, 1), number(float("nan")), number(0.00001234)
    ('0.430', '1,234', '−3.2', '–', '1.23e−05')
    """
    if not math.isfinite(value):
        return NONE
    if places is None and value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.2e}".replace("-", "−")
    places = decimals([value]) if places is None else places
    text = f"{value:,.{places}f}"
    return text.replace("-", "−") if float(text.replace(",", "")) else text.replace("-", "")


def interval(low: float, high: float, places: int) -> str:
    """Write the two ends of an interval, or nothing where they are unknown.

    >>> interval(3.951, 4.182, 2), interval(float("nan"), 1.0, 2)
    ('3.95 to 4.18', '')
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{number(low, places)} to {number(high, places)}"


def percent(fraction: float, places: int = 1) -> str:
    """Write a fraction in percent.

    >>> percent(0.1234), percent(-0.02, 0), percent(float("inf"))
    ('12.3%', '−2%', '–')
    """
    return f"{number(100 * fraction, places)}%" if math.isfinite(fraction) else NONE


def signed_percent(fraction: float) -> str:
    """Write a fraction in percent with its sign.

    >>> signed_percent(0.1234), signed_percent(-0.02), signed_percent(0.0)
    ('+12.3%', '−2.0%', '0.0%')
    """
    return ("+" if fraction > 0 else "") + percent(fraction)


def count(value: float) -> str:
    """Write a whole number with thousands separators.

    >>> count(41706)
    '41,706'
    """
    return f"{int(value):,}"


def duration(seconds: float) -> str:
    """Write a time span in the units a person would choose.

    >>> duration(0.034), duration(48.2), duration(401), duration(7600)
    ('0.034 s', '48 s', '6 min 41 s', '2 h 6 min')
    """
    if not math.isfinite(seconds):
        return NONE
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def roughly(seconds: float) -> str:
    """Say how long something will take, to the minute once it is minutes.

    >>> roughly(7.4), roughly(200), roughly(3 * 3600 + 240)
    ('7 s', '3 min', '3 h 04 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def listed(names: Sequence[str]) -> str:
    """Join names as a sentence does.

    >>> listed(["a"]), listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def capital(sentence: str) -> str:
    """Start a sentence with a capital letter.

    >>> capital("carry forward is best.")
    'Carry forward is best.'
    """
    return sentence[:1].upper() + sentence[1:]


def counted(number: int, thing: str, things: str = "") -> str:
    """Say how many.

    >>> counted(1, "feature"), counted(41706, "visit")
    ('1 feature', '41,706 visits')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def percentage(value: float) -> str:
    """Say a share in percent, without rounding something to nothing.

    >>> percentage(0.00001), percentage(0.0175), percentage(0.5)
    ('< 0.01 %', '1.8 %', '50 %')
    """
    places = 0 if value >= 0.095 or value == 0 else 1 if value >= 0.01 else 2
    return "< 0.01 %" if 0 < value < 1e-4 else f"{100 * value:.{places}f} %"


def signed(value: float) -> str:
    """Say a number with its sign.

    >>> signed(-0.52), signed(1.234)
    ('−0.5', '+1.2')
    """
    return f"{value:+.1f}".replace("-", "−")


def few(names: Iterable[object], *, room: int = 130) -> str:
    """Name as many items as fit into so many characters, at least one, at most five; count the rest.

    >>> few(["lh_CortexVol", "rh_CortexVol", "CortexVol"], room=25)
    'lh_CortexVol and 2 more'
    """
    listed = [str(name) for name in names]
    ends = accumulate(len(name) + 2 for name in listed)
    return some(listed, max(1, min(5, sum(end <= room + 2 for end in ends))))
