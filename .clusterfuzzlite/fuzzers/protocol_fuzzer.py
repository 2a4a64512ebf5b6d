"""The adapter protocol from both sides: a server that goes on or ends in order, and answers read or refused."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.fuzz.seeds import traffic
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError
    from vnethash.targets.exec import framing, messages
    from vnethash.targets.exec.serve import serve
    from vnethash.targets.registry import open_target

if TYPE_CHECKING:
    from collections.abc import Iterator


def one(data: bytes) -> None:
    """Serve the bytes as requests, and read them as answers."""
    for kind in ("json", "binary"):
        output = io.BytesIO()
        target = open_target("model:literal")
        target.run_packed = lambda *_: None  # type: ignore[attr-defined]  # no twin: CPython answers
        serve(target, io.BytesIO(data), output, framing=kind)  # type: ignore[arg-type]
    size = framing.HEADER.size
    line = data.partition(b"\n")[0]
    for read in (
        lambda: messages.read_start(line, validate=True), lambda: messages.read_configure(line, 1, validate=True),
        lambda: messages.to_results(messages.read_run(line, 1, 2)), lambda: messages.read_stop(line, validate=True),
        lambda: messages.to_capabilities(messages.read_start(line).capabilities),
        lambda: framing.read_results(framing.read_header(data[:size]), data[size:]) if len(data) >= size else None,
    ):  # fmt: skip
        try:
            read()
        except VnethashError as error:
            harness.one_line(error.line())


def seeds() -> Iterator[bytes]:
    """Yield conversations, and single answers."""
    frames = traffic()[:2]
    start, stop = messages.start_line(), messages.stop_line()
    configure = messages.configure_line(1, Configuration())
    yield start + configure + messages.run_line(2, frames) + stop
    yield start + configure + framing.run_message(2, frames) + stop
    yield b'{"version":1,"implementation":{"name":"a"},"capabilities":{"observes":["queue"]}}\n'
    yield b'{"seq":1,"results":[{"queue":3},{"skipped":"no"}]}\n'


def words() -> tuple[bytes, ...]:
    """Return the names of commands and fields."""
    names = ("cmd", "start", "configure", "run", "stop", "seq", "config", "packets", "results", "error", "skipped",
             "ok", "version", "framing", "binary", "capabilities", "observes", "queue", "report", "value")  # fmt: skip
    return tuple(f'"{name}"'.encode() for name in names)


if __name__ == "__main__":
    harness.fuzz(one)
