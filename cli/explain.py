"""`vnethash explain`: every step from a frame to its outcome, and the clause behind it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from vnethash.models.explain import Explanation, Line
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.readings import Readings

#: Longest frame that is read.
_LONGEST = 65536


@click.command()
@click.option("--config", "-c", "config", default="", metavar="C", help="JSON file, JSON, or NAME=VALUE,...")
@click.option("--dialect", default="literal", show_default=True, metavar="NAME", help="Readings to begin with.")
@click.option("--reading", "readings", multiple=True, metavar="QUESTION=READING", help="Take this reading; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("frame")
def explain(config: str, dialect: str, readings: tuple[str, ...], as_json: bool, frame: str) -> None:
    """Show every step that a device takes with FRAME, and the clause behind it.

    FRAME is an Ethernet frame in hex (spaces and colons are skipped), `-` for hex on standard input, `@FILE` for a file
    with the bytes or with hex, or `FILE.pcap:N` or `FILE.pcapng:N` for the N-th frame of a capture.

    C is a file or a text in JSON, as in reports and vectors, or `hash_types=TCPV4|IPV4,key=6d5a...,features=RSS`,
    with lists joined by `|`; what it leaves out is as in the default configuration (all hash types, Microsoft's key).
    """
    from vnethash.models.explain import explain as explained  # noqa: PLC0415

    data = read_frame(frame)
    configuration = read_configuration(config)
    explanation = explained(data, configuration, read_readings(dialect, readings) if readings else dialect)
    if as_json:
        click.echo(json.dumps(explanation.to_json(), indent=2))
    elif sys.stdout.isatty():
        _print_rich(explanation)
    else:
        for line in plain_lines(explanation):
            click.echo(line)


def read_frame(text: str) -> bytes:
    """Return the frame that the argument names; raises UsageError or FormatError."""
    from vnethash.spec.errors import UsageError  # noqa: PLC0415

    name, colon, number = text.removeprefix("@").rpartition(":")
    if colon and Path(name).suffix in (".pcap", ".pcapng", ".cap"):
        data = _from_capture(Path(name), number)
    elif text == "-":
        data = _from_hex(sys.stdin.read(), "standard input")
    elif text.startswith("@"):
        path = Path(text[1:])
        try:
            raw = path.read_bytes()
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        is_hex = raw.strip() and not raw.translate(None, b"0123456789abcdefABCDEF: \t\r\n")
        data = _from_hex(raw.decode("ascii"), str(path)) if is_hex else raw
    else:
        data = _from_hex(text, "FRAME")
    if len(data) > _LONGEST:
        raise UsageError(f"a frame of {len(data)} bytes; the longest is {_LONGEST}")
    return data


def _from_hex(text: str, where: str) -> bytes:
    from vnethash.spec.errors import FormatError  # noqa: PLC0415

    digits = []
    for position, character in enumerate(text):
        if character in ": \t\r\n":
            continue
        if character not in "0123456789abcdefABCDEF":
            hint = "a file is @FILE" if where == "FRAME" else ""
            raise FormatError(f"{where}: {character!r} at position {position + 1} is no hex digit", hint=hint)
        digits.append(character)
    if len(digits) % 2:
        raise FormatError(f"{where}: {len(digits)} hex digits are no whole number of bytes")
    return bytes.fromhex("".join(digits))


def _from_capture(path: Path, number: str) -> bytes:
    from vnethash.spec.errors import FormatError, UsageError  # noqa: PLC0415

    if not number.isdecimal() or int(number) < 1:
        raise UsageError(f"{path}:{number}: the number of a frame, from 1 on, follows the colon")
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    from scapy.error import Scapy_Exception  # noqa: PLC0415
    from scapy.utils import RawPcapReader  # noqa: PLC0415

    wanted = int(number)
    count = 0
    try:
        with RawPcapReader(str(path)) as reader:
            for count, (data, _) in enumerate(reader, 1):
                if count == wanted:
                    return bytes(data)
    except (Scapy_Exception, EOFError, ValueError) as error:
        raise FormatError(f"{path}: not a capture: {error}") from None
    raise UsageError(f"{path}: no frame {wanted}, there are {count}")


def read_configuration(text: str) -> Configuration:
    """Return the configuration that the option names; raises FormatError or UsageError."""
    from vnethash.spec.configuration import Configuration  # noqa: PLC0415
    from vnethash.spec.errors import FormatError, UsageError  # noqa: PLC0415

    text = text.strip()
    if not text:
        return Configuration()
    where = "--config"
    if not text.startswith("{"):
        if "=" in text and not _is_file(text):
            return Configuration.from_json(_from_shorthand(text), where=where)
        where = text
        try:
            text = Path(text).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not a text file"
            raise UsageError(f"{where}: {reason}", hint="or give JSON, or NAME=VALUE,...") from None
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise FormatError(f"{where}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    return Configuration.from_json(value, where=where)


def _is_file(text: str) -> bool:
    """Say whether words name a file; some are too long to name any."""
    try:
        return Path(text).is_file()
    except (OSError, ValueError):
        return False


def _from_shorthand(text: str) -> dict[str, Any]:
    from vnethash.spec.constants import HashType, TunnelType  # noqa: PLC0415
    from vnethash.spec.errors import FormatError  # noqa: PLC0415

    value: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, words = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise FormatError(f"--config: {part!r} is not NAME=VALUE")
        if name in value:
            raise FormatError(f"--config: {name} is there twice")
        if name == "features":
            value[name] = [word.strip() for word in words.split("|") if word.strip()]
        elif name == "key":
            value[name] = words
        elif name == "indirection_table":
            value[name] = [_whole(word, name) for word in words.split("|")]
        elif name in ("hash_types", "tunnel_types"):
            names = {flag.name: int(flag) for flag in (HashType if name == "hash_types" else TunnelType)}
            bits = 0
            for word in words.upper().split("|"):
                bits |= names[word.strip()] if word.strip() in names else _whole(word, name, ", ".join(map(str, names)))
            value[name] = bits
        else:
            value[name] = _whole(words, name)
    return value


def _whole(word: str, name: str, known: str = "") -> int:
    from vnethash.spec.errors import FormatError  # noqa: PLC0415

    try:
        return int(word, 0)
    except ValueError:
        hint = f"or names: {known}" if known else ""
        raise FormatError(f"--config: {name}: {word.strip()!r} is no whole number", hint=hint) from None


def read_readings(dialect: str, changes: tuple[str, ...]) -> Readings:
    """Return a dialect's readings with some changed; raises UsageError or FormatError for a name that is none."""
    from vnethash.models.allowed import dialect as readings_of  # noqa: PLC0415
    from vnethash.spec.errors import UsageError  # noqa: PLC0415
    from vnethash.spec.questions import load_dialects, load_questions  # noqa: PLC0415

    if dialect not in load_dialects():
        raise UsageError(f"no dialect {dialect!r}", hint=f"there are {', '.join(load_dialects())}")
    readings = readings_of(dialect)
    for change in changes:
        name, equals, reading = change.partition("=")
        question = load_questions().get(name.replace("_", "-"))
        if not equals or question is None:
            raise UsageError(f"--reading {change}: no question {name!r}", hint="QUESTION=READING")
        readings = readings._replace(**{question.field: question.index(reading)})
    return readings


def plain_lines(explanation: Explanation) -> list[str]:
    """Return the explanation as lines of text."""
    from vnethash.models.explain import outcome_words  # noqa: PLC0415

    lines = []
    part = ""
    for line in explanation.lines:
        if line.part != part:
            part = line.part
            lines.append(part)
        lines.append(_plain(line))
        lines.extend(f"           {words}" for words in _others(line))
    whole = "" if explanation.complete else " (among others: too many questions to try all)"
    lines.append(f"allowed by the text{whole}")
    for entry in explanation.allowed:
        mark = "*" if entry.outcome == explanation.outcome else " "
        lines.append(f"  {mark} {outcome_words(entry.outcome)}")
        lines.extend(f"      if {words}" for words in _conditions(entry.when))
    if all(entry.outcome != explanation.outcome for entry in explanation.allowed):
        lines.append("  the outcome under the readings taken is not among them")
    return lines


def _plain(line: Line) -> str:
    where = "" if line.where is None else f"@{line.where}"
    mark = "?" if line.choice else " "
    clauses = f"  [{', '.join(line.clauses)}]" if line.clauses else ""
    return f"  {mark} {where:>6} {line.text}{clauses}"


def _others(line: Line) -> list[str]:
    from vnethash.models.explain import outcome_words  # noqa: PLC0415

    if line.choice is None:
        return []
    lines = [f"reading {line.choice.reading} ({line.choice.standing})"]
    for other in line.choice.others:
        lines.append(f"else {other.reading} ({other.standing}): {outcome_words(other.outcome)}")
    return lines


def _conditions(conditions: tuple[dict[str, tuple[str, ...]], ...]) -> list[str]:
    lines = [
        " and ".join(f"{question} is {' or '.join(names)}" for question, names in when.items())
        for when in conditions if when
    ]
    if len(lines) > 6:
        lines = [*lines[:5], f"or one of {len(lines) - 5} more conditions (--json has them)"]
    return lines


def _print_rich(explanation: Explanation) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    for line in plain_lines(explanation):
        style = ""
        if not line.startswith(" "):
            style = "bold cyan"
        elif line.startswith("  ?"):
            style = "yellow"
        elif line.startswith(("  *", "    outcome")):
            style = "bold green"
        elif line.startswith("      "):
            style = "dim" if "else " in line or "reading " in line or " if " in line else ""
        console.print(Text(line, style=style), soft_wrap=True)
