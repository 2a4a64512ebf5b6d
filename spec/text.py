"""Text for people: cleaned, on one line, cut to a length, counted, sorted.

Text that came from a target or a file is cleaned here (`plain`), so that no terminal, XML or page is misled by it.
"""

from __future__ import annotations

import re

_NATURAL = re.compile(r"(\d+)")


def plain(text: str) -> str:
    """Return the text with control characters written out, so that no terminal, XML or page is misled by them."""
    if text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if char.isprintable() or char in "\n\t":
        return char
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def one_line(text: str) -> str:
    """Return the text cleaned and on one line."""
    return " ".join(plain(text).split())


def clip(text: str, length: int) -> str:
    """Return at most `length` characters, with three dots where something was cut."""
    return text if len(text) <= length else text[: max(length - 3, 0)] + "..."


def count(number: int, noun: str) -> str:
    """Return e.g. "1 case" or "1,204 cases"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Return a sort key under which HT-10 comes after HT-9."""
    parts = _NATURAL.split(text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts if part)
