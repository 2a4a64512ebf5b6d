"""Does a program speak the adapter protocol? A check of the adapter, not of what it computes.

Each check says in one line what was found. A check that fails ends the program and the next one starts it anew, so one
fault does not hide another; if it cannot even start, the rest is not tried.
"""

from __future__ import annotations

import dataclasses
import json
import shlex
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import HashType
from vnethash.spec.errors import TargetDied, TargetError, TargetTimeout
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Errored, Refused, Result, Skipped, TimedOut
from vnethash.targets.exec import messages
from vnethash.targets.exec.client import ExecTarget, Limits
from vnethash.targets.exec.process import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from vnethash.targets.base import Capabilities

#: TCP over IPv4 (the first of Microsoft's vectors), UDP over IPv6, and an Ethernet header with nothing behind it.
FRAMES = (
    bytes.fromhex(
        "0200000000010200000000020800450000280001000040069d2c420995bba18e6450"
        "0aea06e600000000000000005002ffffc06f0000"
    ),
    bytes.fromhex(
        "02000000000102000000000286dd60000000000811403ffe250102001fff00000000000000073ffe2501020000030000000000000001"
        "0aea06e600080006"
    ),
    bytes.fromhex("0200000000010200000000020800"),
)  # fmt: skip
LARGE = 1024
_UNKNOWN = {"x-unknown": True}

_T = TypeVar("_T")


class Check(NamedTuple):
    """One line of the list; `ok` is None for a check that was not tried."""

    name: str
    ok: bool | None
    detail: str


class _Failed(Exception):  # noqa: N818
    """The adapter did not do what the check asks for."""


def smoke(command: str, *, timeout: float = 10.0, start_timeout: float = 30.0) -> Iterator[Check]:
    """Yield the checks of `exec:COMMAND` as they are made."""
    limits = Limits(start=start_timeout, answer=timeout, batch=LARGE, restarts=1)
    session = _Session(command, limits)
    try:
        for index, (name, check) in enumerate(_CHECKS):
            try:
                yield Check(name, True, check(session))
            except (TargetError, _Failed) as error:
                yield Check(name, False, error.line() if isinstance(error, TargetError) else str(error))
                session.end()
                if index == 0:
                    yield from (Check(later, None, "not tried") for later, _ in _CHECKS[1:])
                    return
    finally:
        session.end()


class _Session:
    """The adapter under the checks; opened when a check needs it."""

    def __init__(self, command: str, limits: Limits) -> None:
        self.command = command
        self.limits = limits
        self._target: ExecTarget | None = None

    def target(self) -> ExecTarget:
        """Return the adapter, started."""
        if self._target is None:
            self._target = ExecTarget(self.command, validate=True, limits=self.limits)
        return self._target

    def configured(self) -> ExecTarget:
        """Return the adapter, started and configured."""
        target = self.target()
        _configure(target)
        return target

    def raw(self) -> Process:
        """Return a process of its own, to be sent what the client would never send."""
        return Process(f"exec:{self.command}", shlex.split(self.command))

    def end(self) -> None:
        """End it."""
        target, self._target = self._target, None
        if target is not None:
            target.close()


def usual_configuration(capabilities: Capabilities) -> Configuration:
    """Return a configuration within what an adapter claims."""
    length = min(capabilities.max_indirection_table_length, 128)
    table = 1 << (length.bit_length() - 1)
    default = Configuration()
    return dataclasses.replace(
        default,
        features=default.features & capabilities.features,
        hash_types=capabilities.hash_types & sum(HashType),
        key=(default.key * 7)[: min(capabilities.max_key_size, 40)],
        indirection_table=tuple(index % capabilities.queues for index in range(table)),
        unclassified_queue=capabilities.queues - 1,
        max_tx_vq=1,
    )


def _configure(target: ExecTarget) -> None:
    try:
        target.configure(usual_configuration(target.capabilities))
    except Refused as refused:
        verb = "cannot be asked for" if refused.skipped else "refused"
        raise _Failed(f"{verb} a configuration within its own capabilities: {refused.message}") from None


def _run(target: ExecTarget, frames: Sequence[bytes]) -> list[Result]:
    results = target.run(frames)
    for result in results:
        if isinstance(result, Errored | TimedOut):
            what = result.message if isinstance(result, Errored) else f"no answer within {result.seconds:g} s"
            raise _Failed(f"a frame came to nothing: {what}")
    return results


def _starts(session: _Session) -> str:
    begun = time.monotonic()
    target = session.target()
    who, can = target.implementation, target.capabilities
    version = f" {who.version}" if who.version else ""
    return f"{who.name}{version}, shows {', '.join(sorted(can.observes))} ({time.monotonic() - begun:.2f} s)"


def _takes_configuration(session: _Session) -> str:
    target = session.target()
    _configure(target)
    return f"hash_types {usual_configuration(target.capabilities).hash_types:#x}"


def _answers_frames(session: _Session) -> str:
    target = session.configured()
    results = _run(target, FRAMES)
    if all(isinstance(result, Skipped) for result in results):
        return "skips all three"
    for result in results:
        if isinstance(result, Observation) and result == Observation():
            raise _Failed(f"a result shows nothing of {', '.join(sorted(target.capabilities.observes))}")
    return "; ".join(_text(result) for result in results)


def _answers_the_same(session: _Session) -> str:
    target = session.configured()
    first, again = _run(target, FRAMES), _run(target, FRAMES)
    for one, other in zip(first, again, strict=True):
        if one != other:
            raise _Failed(f"first {_text(one)}, then {_text(other)}")
    return ""


def _answers_empty_batch(session: _Session) -> str:
    target = session.configured()
    target.run_batch(())
    return ""


def _answers_large_batch(session: _Session) -> str:
    target = session.configured()
    frames = [FRAMES[0] + bytes(index % 1400) for index in range(LARGE - 1)]
    begun = time.monotonic()
    _run(target, [*frames, FRAMES[0] + bytes(65535 - len(FRAMES[0]))])
    return f"{LARGE} frames, one of 65535 bytes ({time.monotonic() - begun:.2f} s)"


def _passes_over_unknown_fields(session: _Session) -> str:
    target = session.target()
    with _Raw(session) as raw:
        raw.ask(json.dumps({"cmd": "start", "version": messages.VERSION} | _UNKNOWN), "`start` with an unknown field")
        config = usual_configuration(target.capabilities).to_json() | _UNKNOWN
        line = raw.ask(
            json.dumps({"cmd": "configure", "seq": 7, "config": config} | _UNKNOWN, separators=(",", ":")),
            "`configure` with unknown fields",
        )
        answer = raw.read(lambda: messages.read_configure(line, 7, validate=True), line)
        if answer.ok is not True:
            raise _Failed(f"answered {messages.quoted(line)}; what it does not know it should pass over")
    return ""


def _survives_unknown_command(session: _Session) -> str:
    with _Raw(session) as raw:
        raw.ask(messages.start_line().decode().strip(), "`start`")
        try:
            line = raw.ask('{"cmd":"no-such-command","seq":8}', "an unknown command")
        except TargetDied as died:
            if raw.process.last_words():
                return f"ended, saying {raw.process.last_words()}"
            raise _Failed(f"{died.message}; it should answer an error, or end with a line on stderr") from None
        except TargetTimeout as late:
            raise _Failed(f"{late.message}; it should answer an error, or end with a line on stderr") from None
        if messages.complaint_in(line) is None:
            raise _Failed(f'answered {messages.quoted(line)} where {{"error":"..."}} was due')
    return f"answered {messages.quoted(line)}"


def _stops(session: _Session) -> str:
    with _Raw(session) as raw:
        raw.ask(messages.start_line().decode().strip(), "`start`")
        line = raw.ask(messages.stop_line().decode().strip(), "`stop`")
        raw.read(lambda: messages.read_stop(line, validate=True), line)
        return raw.ended("`stop`")


def _ends_with_its_input(session: _Session) -> str:
    with _Raw(session) as raw:
        raw.ask(messages.start_line().decode().strip(), "`start`")
        raw.process.close_stdin()
        return raw.ended("the end of its input")


class _Raw:
    """A process that is sent single lines."""

    def __init__(self, session: _Session) -> None:
        self._limits = session.limits
        self.process = session.raw()
        self._seconds = self._limits.start

    def __enter__(self) -> _Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.end()

    def ask(self, line: str, what: str) -> bytes:
        """Return the line that answers a line."""
        self.process.send(line.encode() + b"\n")
        self.process.expect(what, self._seconds)
        self._seconds = self._limits.answer
        return self.process.line()

    def read(self, read: Callable[[], _T], line: bytes) -> _T:
        """Return what `read` makes of an answer."""
        try:
            return read()
        except messages.Unreadable as error:
            raise _Failed(f"{error.message}; it said: {messages.quoted(line)}") from None

    def ended(self, after: str) -> str:
        """Return how it ended by itself."""
        how = self.process.wait(self._limits.stop)
        if not how:
            raise _Failed(f"still runs {self._limits.stop:g} s after {after}")
        if how != "ended with status 0":
            raise _Failed(f"{how} after {after}; status 0 was due")
        return how


def _text(result: Result) -> str:
    if isinstance(result, Observation):
        parts = [f"{name} {value}" for name, value in result._asdict().items() if value is not None]
        return " ".join(parts)
    if isinstance(result, Skipped):
        return f"skipped: {result.reason}"
    return str(result)


_CHECKS: tuple[tuple[str, Callable[[_Session], str]], ...] = (
    ("answers start", _starts),
    ("takes a configuration", _takes_configuration),
    ("answers three frames", _answers_frames),
    ("answers the same when asked again", _answers_the_same),
    ("answers an empty batch", _answers_empty_batch),
    ("answers a large batch", _answers_large_batch),
    ("passes over unknown fields", _passes_over_unknown_fields),
    ("survives an unknown command", _survives_unknown_command),
    ("ends when told to stop", _stops),
    ("ends with its input", _ends_with_its_input),
)
