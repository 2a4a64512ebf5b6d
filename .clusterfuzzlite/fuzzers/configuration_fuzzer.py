"""Configurations, frames and readings as people write them: taken or refused in one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import harness

with harness.instrumented():
    from vnethash.cli.explain import read_configuration, read_frame, read_readings
    from vnethash.models.reference import outcome
    from vnethash.spec.configuration import Configuration
    from vnethash.spec.errors import VnethashError
    from vnethash.spec.readings import Readings

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = harness.DataFile()


def one(data: bytes) -> None:
    """Read three lines: a configuration, a frame, a reading; and the whole as files of them."""
    path = FILE.write(data)
    text = data.decode("utf-8", "replace").replace("\0", "")
    first, _, rest = text.partition("\n")
    second, _, third = rest.partition("\n")
    readers = (
        lambda: read_configuration(first), lambda: read_configuration(path), lambda: read_frame(f"@{path}"),
        lambda: read_frame(second.lstrip("@-")), lambda: read_readings("literal", (third,)),
    )  # fmt: skip
    for read in readers:
        try:
            found = read()
        except VnethashError as error:
            harness.one_line(error.line())
            continue
        if isinstance(found, Configuration):
            assert Configuration.from_json(json.loads(json.dumps(found.to_json()))) == found
            outcome(bytes(60), found, Readings())


def seeds() -> Iterator[bytes]:
    """Yield what the manual shows."""
    yield b"hash_types=IPV4|TCPV4,key=6d5a,indirection_table=0|1\n0200 0000\natomic-fragment=whole"
    yield json.dumps(Configuration().to_json()).encode()


def words() -> tuple[bytes, ...]:
    """Return the names of fields and values."""
    return tuple(f"{name}".encode() for name in (*Configuration().to_json(), "IPV4", "TCPV6", "UDP_EX", "RSS",
                                                 "HASH_REPORT", "HASH_TUNNEL", "0x", '"', "{", "["))  # fmt: skip


if __name__ == "__main__":
    harness.fuzz(one)
