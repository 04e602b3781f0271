"""Numbers as a reader wants them: as many digits as the uncertainty supports, units that fit."""

from __future__ import annotations

import math

MINUS = "\u2212"
NONE = "\u2013"
"""What stands where there is no number."""

THIN = "\u202f"
_SUPERSCRIPTS = str.maketrans("-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def fixed(value: float, digits: int) -> str:
    """Return a number with a fixed number of decimals, a true minus sign, and thin spaces between thousands from 10,000 on.

    From a thousand million on it is a power of ten with three digits, since nobody counts so many.

    Args:
        value: the number.
        digits: decimals, 0 or more.

    Returns:
        Text without unit.
    """
    if not math.isfinite(value):
        return "not finite"
    if abs(value) >= 1e9:
        return power(value)
    text = f"{abs(value):,.{max(digits, 0)}f}"
    text = text.replace(",", THIN if abs(value) >= 1e4 else "")
    return (MINUS if value < 0 and float(f"{value:.{max(digits, 0)}f}") != 0 else "") + text


def plain(value: float) -> str:
    """Return a number as somebody typed it: no more digits than it has.

    Args:
        value: the number.

    Returns:
        Text without unit.
    """
    text = f"{value:.6g}"
    return power(value) if "e" in text else text.replace("-", MINUS)


def power(value: float) -> str:
    """Return a very large or very small number as a power of ten with three digits.

    Args:
        value: the number.

    Returns:
        Text without unit.
    """
    mantissa, exponent = f"{value:.2e}".split("e")
    return f"{float(mantissa):g}{THIN}\u00d7{THIN}10{str(int(exponent)).translate(_SUPERSCRIPTS)}".replace("-", MINUS)


def digits_for(spread: float, value: float = 0.0) -> int:
    """Return the decimals that show a spread with two significant digits, or a value with three when there is no spread.

    Args:
        spread: half-width of an interval; 0 where there is none.
        value: the number itself.

    Returns:
        Decimals, 0 or more.
    """
    if spread > 0 and math.isfinite(spread):
        return min(max(1 - math.floor(math.log10(spread)), 0), 6)
    if value and math.isfinite(value):
        return min(max(2 - math.floor(math.log10(abs(value))), 0), 6)
    return 2


def scaled(value: float, unit: str) -> str:
    """Return a large count with an SI prefix: 1.4 GFLOP, 312 k/s.

    Args:
        value: the count.
        unit: its unit.

    Returns:
        Text with prefix and unit.
    """
    for size, prefix in _PREFIXES:
        if abs(value) >= 0.9995 * size:  # else three digits would read 1e+03
            return f"{value / size:.3g}{THIN}{prefix}{unit}"
    return f"{value:.3g}{THIN}{unit}".rstrip(THIN)


def memory(value: float) -> str:
    """Return a size of memory in binary units.

    Args:
        value: bytes.

    Returns:
        Text with unit.
    """
    for size, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= 0.97 * size:  # 1,000 of the next smaller unit, which three digits cannot show
            return f"{value / size:.3g}{THIN}{unit}"
    return f"{value:.0f}{THIN}B"


def duration(seconds: float) -> str:
    """Return a duration in the two largest units that matter.

    Args:
        seconds: its length.

    Returns:
        Text with units.
    """
    if seconds < 1:
        return f"{seconds:.2f}{THIN}s"
    if seconds < 120:
        return f"{seconds:.3g}{THIN}s"
    minutes = round(seconds / 60)
    return f"{minutes}{THIN}min" if minutes < 120 else f"{minutes // 60}{THIN}h {minutes % 60:02d}{THIN}min"


def energy(joules: float) -> str:
    """Return an energy in joules, or in watt-hours from a kilojoule on.

    Args:
        joules: the energy.

    Returns:
        Text with unit.
    """
    if joules < 3600:
        return scaled(joules, "J")
    return scaled(joules / 3600, "Wh")
