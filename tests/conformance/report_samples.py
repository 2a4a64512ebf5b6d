"""A made-up run that looks like a real one: 3 targets, 40 vectors, 6 findings of all causes."""

from __future__ import annotations

import zlib
from collections import Counter
from typing import TYPE_CHECKING

from vnethash.conformance.records import (
    Allowed,
    AnyRecord,
    Case,
    Finding,
    Header,
    Settled,
    Shown,
    TargetRecord,
    Witness,
)
from vnethash.conformance.report import ReportWriter
from vnethash.spec.configuration import Configuration

if TYPE_CHECKING:
    from pathlib import Path

LITERAL, QEMU, ACME = "model:literal", "qemu-ebpf", "exec:./acme-nic --sim"
CONFIG = Configuration(hash_types=0x3F, unclassified_queue=120)
NARROW = Configuration(hash_types=0x0B, key=bytes(range(40)), indirection_table=(3, 1, 2, 0), unclassified_queue=9)

_ETHERNET = bytes.fromhex("0200000000020200000000010800")
_TCP = bytes.fromhex("0aea06e6000000010000000050021000f2b50000")


def ipv4(protocol: int, payload: bytes, *, fragment: int = 0) -> bytes:
    """An Ethernet frame with an IPv4 packet between the addresses of Microsoft's first verification vector."""
    total = 20 + len(payload)
    header = bytes([0x45, 0, total >> 8, total & 0xFF, 0, 1, fragment >> 8, fragment & 0xFF, 64, protocol, 0, 0])
    return _ETHERNET + header + bytes.fromhex("420995bba18e6450") + payload


FRAMES = (
    ("eth/ipv4/tcp", ipv4(6, _TCP), 2),
    ("eth/ipv4(mf)/tcp", ipv4(6, _TCP, fragment=0x2000), 1),
    ("eth/ipv4/udp", ipv4(17, bytes.fromhex("0aea06e600080000")), 3),
    ("eth/ipv4/icmp", ipv4(1, bytes(8)), 1),
    ("eth/arp", bytes.fromhex("ffffffffffff0200000000010806") + bytes(28), 0),
)
CLAUSES = (("V4-1", "HT-1"), ("V4-2", "HT-1", "REP-4"), ("V4-3", "RSS-D4"), ("V6-10", "X6-2"), ("RSS-7",))


def shown(frame: bytes, report: int) -> Shown:
    value = zlib.crc32(frame) if report else 0
    return Shown(report=report, value=value, queue=value % 128 if report else 120)


def case(target: str, vector: int, verdict: str, **changes: object) -> Case:
    summary, frame, report = FRAMES[vector % len(FRAMES)]
    literal = shown(frame, report)
    allowed = [Allowed(literal)]
    observed: Shown | None = literal
    more: dict[str, object] = {}
    if verdict == "pass-under":
        observed = Shown(report=1, value=literal.value, queue=literal.queue)
        more["readings"] = {"first-fragment": "ports" if vector % 2 else "addresses"}
        allowed = [Allowed(literal, {"first-fragment": "none"}), Allowed(observed, dict(more["readings"]))]
    elif verdict == "fail":
        observed = Shown(report=literal.report, value=(literal.value or 0) ^ 0xFFFF, queue=5)
        more["clause"] = CLAUSES[vector % len(CLAUSES)][0]
    elif verdict in ("error", "skipped", "timeout"):
        observed = None
        more["reason"] = {
            "error": "adapter died: Segmentation fault\x1b[31m\x00",
            "skipped": "shows no report",
            "timeout": "no answer within 2.0 s",
        }[verdict]
    values: dict[str, object] = {
        "target": target,
        "vector": vector,
        "comment": f"addresses & ports of <{summary}>",
        "clauses": list(CLAUSES[vector % len(CLAUSES)]),
        "config": CONFIG.to_json(),
        "frame": frame.hex(),
        "summary": summary,
        "allowed": allowed,
        "observed": observed,
        "verdict": verdict,
    }
    return Case(**{**values, **more, **changes})  # type: ignore[arg-type]


VERDICTS = {
    LITERAL: ["pass"] * 40,
    QEMU: ["pass"] * 20 + ["pass-under"] * 5 + ["fail"] * 9 + ["skipped"] * 6,
    ACME: ["pass"] * 22 + ["pass-under"] * 8 + ["fail"] * 4 + ["error"] * 2 + ["timeout"] + ["skipped"] * 3,
}


def cases(target: str) -> list[Case]:
    return [case(target, 100 + number, verdict) for number, verdict in enumerate(VERDICTS[target])]


def witness(index: int = 1, *, frame: bytes | None = None, observed: Shown | None = None, **more: object) -> Witness:
    summary, default, report = FRAMES[index]
    frame = default if frame is None else frame
    literal = shown(frame, report)
    values: dict[str, object] = {
        "frame": frame.hex(),
        "config": (CONFIG if index != 1 else NARROW).to_json(),
        "summary": summary,
        "decoded": (
            "###[ Ethernet ]###\n  dst       = 02:00:00:00:00:02\n  src       = 02:00:00:00:00:01\n"
            "  type      = IPv4\n###[ IP ]###\n     version   = 4\n     ihl       = 5\n     flags     = MF\n"
            "     frag      = 0\n     proto     = tcp\n     src       = 66.9.149.187\n     dst       = 161.142.100.80\n"
            "###[ TCP ]###\n        sport     = 2794\n        dport     = 1766\n        flags     = S"
        ),
        "steps": [
            "the frame has 54 bytes and an Ethernet header of type 0x0800",
            "IPv4, protocol 6, more fragments follow (V4-2)",
            "TCPV4 is enabled, but the packet is a fragment: the question first-fragment is asked",
            "IPV4 is enabled: 8 bytes of addresses are the hash input (V4-3, HT-1)",
            "queue = table[hash AND mask] (RSS-D4)",
        ],
        "expected": [
            Allowed(literal, {"first-fragment": "none"}),
            Allowed(shown(frame, 2), {"first-fragment": "ports"}),
        ],
        "observed": observed if observed is not None else Shown(value=0x1234ABCD, queue=3),
    }
    return Witness(**{**values, **more})  # type: ignore[arg-type]


def finding(name: str, target: str = QEMU, **changes: object) -> Finding:
    values: dict[str, object] = {
        "id": name,
        "target": target,
        "cause": "defect",
        "title": "Hashes the ports of a first fragment",
        "clauses": ["V4-2", "HT-1"],
        "effect": "computes over addresses and ports where the text has addresses only",
        "cases": 6,
        "witness": witness(),
        "question": "first-fragment",
        "reading": "ports",
        "detail": "The text speaks of fragments in V4-2 only; nothing lets a device look at the ports.",
    }
    return Finding(**{**values, **changes})  # type: ignore[arg-type]


def findings(target: str) -> list[Finding]:
    if target == QEMU:
        return [
            finding("Q-3", cause="reading", title="Takes UDP fragments as UDP", clauses=["V4-3"], cases=5,
                    effect="differs from the literal text in the hash type", question="udp-fragment", reading="ndis"),
            finding("Q-2", cause="unexplained", title="Another hash value under a key of 39 bytes", clauses=["RSS-10"],
                    effect="hash_value differs, the queue follows", question="", reading="", cases=1,
                    witness=witness(2, observed=Shown(value=7, queue=7))),
            finding("Q-1"),
        ]
    if target == ACME:
        return [
            finding("A-3", ACME, cause="error", title="Dies of an empty frame", clauses=[], cases=3, question="",
                    reading="", effect="adapter died: Segmentation fault",
                    witness=witness(4, frame=b"", steps=[], decoded="", summary="", expected=[Allowed(Shown(report=0))],
                                    observed=Shown(), reason="adapter died: Segmentation fault \x1b[31m<b>")),
            finding("A-2", ACME, cause="inconsistent", title="Mixes two readings of first-fragment", reading="",
                    effect="ports for IPv4, addresses for IPv6", clauses=["V4-2", "V6-10"], cases=8,
                    also=["a first fragment with options", "a UDP fragment"],
                    witness=witness(1, observed=Shown(report=1, value=5, queue=1))),
            finding("A-1", ACME, title="Unclassified packets go to queue 0", clauses=["RSS-7"], cases=4,
                    effect="queue 0 instead of unclassified_queue", question="unclassified", reading="zero",
                    witness=witness(4, observed=Shown(report=0, value=0, queue=0))),
        ]
    return []


_CONCLUSIONS = {
    LITERAL: ("conforms", "every case passes under the literal readings"),
    QEMU: ("deviates", "9 cases fail: 2 findings that no reading allows (V4-2, RSS-10)"),
    ACME: ("inconsistent", "first-fragment is read in two ways"),
}
_IMPLEMENTATIONS = {
    LITERAL: {"name": "vnethash model", "version": "0.1.0", "language": "python"},
    QEMU: {"name": "QEMU", "version": "10.0.3", "language": "eBPF", "homepage": "https://www.qemu.org"},
    ACME: {"name": "acme-nic", "version": "3.1", "language": "c"},
}
_PROFILES = {
    LITERAL: {"first-fragment": Settled(["none"], "text", 8), "short-key": Settled(["zero"], "ancestor", 2)},
    QEMU: {
        "first-fragment": Settled(["ports"], "defect", 6),
        "udp-fragment": Settled(["ndis"], "ancestor", 5),
        "short-key": Settled(["zero", "repeat"], "text", 1),
        "home-address": Settled([], "text", 0),
    },
    ACME: {"first-fragment": Settled([], "text", 8), "short-key": Settled(["zero"], "ancestor", 3)},
}


def conclusion(target: str) -> TargetRecord:
    made = cases(target)
    clauses: dict[str, dict[str, int]] = {}
    for one in made:
        for clause in one.clauses:
            clauses.setdefault(clause, Counter())[one.verdict] += 1
    name, reason = _CONCLUSIONS[target]
    return TargetRecord(
        target=target,
        implementation=_IMPLEMENTATIONS[target],
        notes=["BPF_PROG_TEST_RUN; values by shifted keys"] if target == QEMU else [],
        observes=["queue", "value"] if target == QEMU else ["queue", "report", "value"],
        conclusion=name,  # type: ignore[arg-type]
        reason=reason,
        counts=dict(Counter(VERDICTS[target])),
        profile=_PROFILES[target],
        clauses={clause: dict(counts) for clause, counts in clauses.items()},
        seconds=1.25,
    )


def header(targets: tuple[str, ...] = (LITERAL, QEMU, ACME)) -> Header:
    return Header(
        format=1,
        tool="vnethash 0.1.0",
        started="2026-11-22T10:11:12Z",
        suite="hashing and steering, virtio 1.4",
        targets=list(targets),
        machine="Linux 6.12 x86_64, 2 processors",
        command=["vnethash", "check", *targets],
    )


def stream(targets: tuple[str, ...] = (LITERAL, QEMU, ACME)) -> list[AnyRecord]:
    """Every record of the run but the footer."""
    made: list[AnyRecord] = [header(targets)]
    for target in targets:
        made += [*cases(target), *findings(target), conclusion(target)]
    return made


def write(folder: Path, made: list[AnyRecord] | None = None, *, exit_code: int = 1, interrupted: bool = False) -> Path:
    """Write a whole run into a folder and return it."""
    with ReportWriter(folder) as writer:
        writer.extend(stream() if made is None else made)
        writer.finish(exit_code, interrupted=interrupted, finished="2026-11-22T10:11:19Z")
    return folder
