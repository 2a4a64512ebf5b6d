"""A correct implementation with an odd but consistent profile: each choice is a reading that the text allows.

Run it as an adapter: `python odd.py`. Self-contained, standard library only, independent of vnethash's model.
Its choices, by question (`spec.md`, section 3); R1, R2 are the readings there, `*` marks what is unlike `literal`:

| question | reading | choice |
|---|---|---|
| A-65 A-66 * | R1 | exactly one 0x8100 tag is skipped; a second one, or 0x88A8, is not IP |
| A-69 A-70 A-68 | R2 R1 R1 | EtherType and version nibble must agree; MPLS, PPPoE, LLC/SNAP are not IP |
| A-75 A-77 | R1 | a first IPv4 fragment with a TCP/UDP header is hashed by its ports |
| A-76 A-78 | R1 | later IPv4 fragments by address; DF and the reserved bit do not matter |
| A-81 A-82 A-83 | R1 | IHL < 5 or beyond the frame: no hash; options are skipped |
| A-85 A-86 A-87 * | R2 | Total Length is not looked at, the frame length counts |
| A-90 * | R1 | the four bytes of the ports make a TCP header |
| A-91 A-92 A-94 | R1 | UDP needs 8 bytes; UDP-Lite, SCTP, IPv4 AH have no ports |
| A-100 A-102 A-104 * | R2 | extension headers are 0 43 44 51 60: ESP, Mobility, HIP, Shim6, 253, 254 are upper layer |
| A-101 A-103 A-105 | R1 | 59 and unknown values are upper layer; AH is walked, in 32-bit words |
| A-107 A-110 to A-114 | R1 | EX types only with an extension header; IP_EX before TCPv6; else the header's addresses |
| A-115 A-116 A-148 A-130 * | R2 | a chain that does not fit: no hash at all, whatever is enabled |
| A-121 A-122 * | R2 | the last Home Address option of the chain counts, also within one header |
| A-123 to A-127 | R1 | only type 0xC9 of length 16 in Destination Options; an overrun ends the list; any alignment |
| A-128 A-129 * | R2 | a type 2 Routing header counts only with Hdr Ext Len 2 and Segments Left 1 |
| A-131 A-132 A-134 | R1 | the first such header; other routing types: header destination; each address by itself |
| A-136 A-137 | R2 R1 | addresses behind the Fragment header of a first fragment count; those before it always |
| A-140 | R1 | the Fragment header is an extension header |
| A-141 A-143 * | R2 | any Fragment header, first and atomic fragments too, means: by address |
| A-142 A-144 | R1 | a later fragment ends at its Fragment header |
| A-146 A-147 * | R1 R2 | Payload Length is not looked at either |
| A-07 A-22 | R1 R2 | missing key bits are 0; index = hash AND (entries - 1) |
"""

from __future__ import annotations

import json
import sys
from typing import Any


class NoHash(Exception):  # noqa: N818 - a decision, not an error
    """There is no hash for this packet."""


class Reader:
    """Bytes, read from the left; running out of them means that there is no hash."""

    def __init__(self, data: bytes) -> None:
        self.left = data

    def take(self, count: int) -> bytes:
        """Read and return `count` bytes."""
        if len(self.left) < count:
            raise NoHash
        taken, self.left = self.left[:count], self.left[count:]
        return taken

    def number(self, count: int = 1) -> int:
        """Read an unsigned number in network order."""
        return int.from_bytes(self.take(count), "big")


Types = tuple[tuple[int, str, int], ...]


class IPv4:
    """An IPv4 packet as this implementation sees it."""

    types: Types = ((0x2, "tcp", 2), (0x4, "udp", 3), (0x1, "", 1))

    def __init__(self, data: Reader) -> None:
        version, words = divmod(data.number(), 16)
        if version != 4 or words < 5:
            raise NoHash
        data.take(5)  # type of service, Total Length, identification
        offset = data.number(2) % 0x2000
        data.take(1)
        protocol = data.number()
        data.take(2)
        self.fields = {"source": data.take(4), "destination": data.take(4)}
        data.take(words * 4 - 20)
        self.ports = {} if offset else ports(protocol, data)


class IPv6:
    """An IPv6 packet as this implementation sees it."""

    plain = ((0x10, "tcp", 5), (0x20, "udp", 6), (0x8, "", 4))
    extended = ((0x80, "tcp", 8), (0x100, "udp", 9), (0x40, "", 7))

    def __init__(self, data: Reader) -> None:
        if data.number() >> 4 != 6:
            raise NoHash
        data.take(5)  # traffic class, flow label, Payload Length
        following = data.number()
        data.take(1)
        self.fields = {"source": data.take(16), "destination": data.take(16)}
        self.types: Types = self.plain
        self.ports: dict[str, bytes] = {}
        fragment = False
        while following in (0, 43, 44, 51, 60):
            self.types = self.extended + self.plain
            header = following
            following = data.number()
            length = data.number()
            if header == 44:
                fragment = True
                offset = data.number(2) >> 3
                data.take(4)
                if offset:
                    return
            elif header == 51:
                data.take(length * 4 + 6)
            else:
                content = data.take(length * 8 + 6)
                if header == 60:
                    self.options(Reader(content))
                elif header == 43 and (length, content[0], content[1]) == (2, 2, 1):
                    self.fields.setdefault("route", content[6:22])
        if not fragment:
            self.ports = ports(following, data)

    def options(self, data: Reader) -> None:
        """Look for Home Address options."""
        try:
            while data.left:
                if kind := data.number():
                    content = data.take(data.number())
                    if kind == 0xC9 and len(content) == 16:
                        self.fields["home"] = content
        except NoHash:
            pass  # the list runs past its header; what was read stays read


def ports(protocol: int, data: Reader) -> dict[str, bytes]:
    """Return the ports under the name of the protocol that has them, nothing if there are none."""
    if protocol == 6 and len(data.left) >= 4:
        return {"tcp": data.left[:4]}
    if protocol == 17 and len(data.left) >= 8:
        return {"udp": data.left[:4]}
    return {}


def parse(frame: bytes) -> IPv4 | IPv6:
    """Return the IP packet in a frame, or raise NoHash."""
    data = Reader(frame)
    data.take(12)
    kind = data.number(2)
    if kind == 0x8100:
        data.take(2)
        kind = data.number(2)
    if kind == 0x0800:
        return IPv4(data)
    if kind == 0x86DD:
        return IPv6(data)
    raise NoHash


def select(packet: IPv4 | IPv6, enabled: int) -> tuple[int, bytes]:
    """Return the report and the bytes to hash, or raise NoHash."""
    for bit, header, report in packet.types:
        if enabled & bit and (not header or header in packet.ports):
            fields = packet.fields
            source, destination = fields["source"], fields["destination"]
            if report > 6:
                source, destination = fields.get("home", source), fields.get("route", destination)
            return report, source + destination + packet.ports.get(header, b"")
    raise NoHash


def toeplitz(key: str, data: bytes) -> int:
    """Return the hash; `key` is a string of at least 32 more binary digits than the input has."""
    result = 0
    for place, digit in enumerate(f"{int.from_bytes(data, 'big'):0{len(data) * 8}b}"):
        if digit == "1":
            result ^= int(key[place : place + 32], 2)
    return result


class Adapter:
    """One method a command."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.key = ""

    def start(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say who this is."""
        return {
            "capabilities": {
                "hash_types": 511, "tunnel_types": 0, "features": ["HASH_REPORT", "RSS"],
                "observes": ["report", "value", "queue"], "queues": 65536, "max_key_size": 52,
                "max_indirection_table_length": 512,
            },
            "implementation": {"name": "odd-py", "version": "0.9-odd", "language": "python", "homepage": ""},
            "version": 1,
        }  # fmt: skip

    def configure(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take a configuration."""
        try:
            config = {name: request["config"][name] for name in
                      ("features", "hash_types", "key", "indirection_table", "unclassified_queue")}  # fmt: skip
            key, table = bytes.fromhex(config["key"]), config["indirection_table"]
            if len(key) > 52 or not 1 <= len(table) <= 512 or request["config"].get("tunnel_types"):
                raise ValueError("more than this device has")
            numbers = [config["hash_types"], config["unclassified_queue"], *table]
            if not all(isinstance(number, int) and number >= 0 for number in numbers):
                raise ValueError("whole numbers are wanted")
            if not isinstance(config["features"], list):
                raise ValueError("a list of features is wanted")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return {"ok": False, "error": f"not a configuration: {error}"}
        self.config = config
        self.key = "".join(f"{byte:08b}" for byte in key).ljust(320, "0")
        return {"ok": True}

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer frames."""
        if not self.config:
            return {"error": "not configured"}
        return {"results": [self.result(packet) for packet in request["packets"]]}

    def result(self, packet: Any) -> dict[str, Any]:
        """Answer one frame."""
        try:
            frame = bytes.fromhex(packet)
        except (TypeError, ValueError):
            return {"error": "not hex"}
        table, features = self.config["indirection_table"], self.config["features"]
        try:
            if "RSS" not in features and "HASH_REPORT" not in features:
                raise NoHash
            report, data = select(parse(frame), self.config["hash_types"])
            value = toeplitz(self.key, data)
            queue = table[value & (len(table) - 1)]
        except NoHash:
            report, value, queue = 0, 0, self.config["unclassified_queue"]
        return {"queue": queue, "value": value, "report": report} if "RSS" in features else {
            "value": value, "report": report}  # fmt: skip


def main() -> None:
    """Speak the protocol."""
    adapter = Adapter()
    commands = {"start": adapter.start, "configure": adapter.configure, "run": adapter.run}
    while line := sys.stdin.buffer.readline():
        answer: dict[str, Any] = {}
        command = None
        try:
            request = json.loads(line)
            command = request["cmd"]
            if "seq" in request:
                answer["seq"] = request["seq"]
            answer |= commands[command](request) if command != "stop" else {}
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            answer["error"] = f"bad request ({type(error).__name__})"
        print(json.dumps(answer), flush=True)
        if command == "stop":
            break


if __name__ == "__main__":
    main()
