"""What the driver negotiated and sent, as far as hashing and steering depend on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vnethash.spec.constants import ALL_HASH_TYPES, MICROSOFT_KEY, Feature, HashType, Report, TunnelType
from vnethash.spec.errors import FormatError

_FIELDS = (
    "features", "hash_types", "key", "indirection_table", "unclassified_queue", "max_tx_vq", "tunnel_types",
)


@dataclass(frozen=True, slots=True)
class Configuration:
    """One configuration; any values, legal or not, so that illegal ones can be tried.

    Attributes:
        features: names of the negotiated features, e.g. "RSS", "HASH_REPORT", "HASH_TUNNEL" (FB-*).
        hash_types: the le32 of RSS_CONFIG or HASH_CONFIG (RSS-4, HCF-4).
        key: 0 to 255 bytes (RSS-10, HCF-7).
        indirection_table: receive queue numbers, counted from 0; `indirection_table_mask` + 1 of them (RSS-5).
        unclassified_queue: receive queue number, counted from 0 (RSS-7).
        max_tx_vq: number of transmit queues (RSS-9).
        tunnel_types: `enabled_tunnel_types` of HASH_TUNNEL_SET (INN-3).
    """

    hash_types: int = ALL_HASH_TYPES
    key: bytes = MICROSOFT_KEY
    indirection_table: tuple[int, ...] = tuple(range(128))
    unclassified_queue: int = 200
    features: frozenset[str] = frozenset({"RSS", "HASH_REPORT"})
    max_tx_vq: int = 1
    tunnel_types: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the form of the adapter protocol, the vectors and the records."""
        return {
            "features": sorted(self.features),
            "hash_types": self.hash_types,
            "key": self.key.hex(),
            "indirection_table": list(self.indirection_table),
            "unclassified_queue": self.unclassified_queue,
            "max_tx_vq": self.max_tx_vq,
            "tunnel_types": self.tunnel_types,
        }

    @classmethod
    def from_json(cls, value: object, *, where: str = "configuration") -> Configuration:
        """Read what `to_json` wrote; fields left out take their defaults; raises FormatError for anything else."""
        if not isinstance(value, dict):
            raise FormatError(f"{where}: expected an object, got {type(value).__name__}")
        unknown = sorted(set(value) - set(_FIELDS))
        if unknown:
            raise FormatError(f"{where}: unknown field {unknown[0]!r}", hint=f"known: {', '.join(_FIELDS)}")
        default = cls()
        features = value.get("features", sorted(default.features))
        known = {feature.name for feature in Feature}
        if not isinstance(features, list) or not all(isinstance(name, str) for name in features):
            raise FormatError(f"{where}: features must be a list of names")
        if set(features) - known:
            raise FormatError(f"{where}: unknown feature {sorted(set(features) - known)[0]!r}")
        key = value.get("key", default.key.hex())
        try:
            key_bytes = bytes.fromhex(key)
        except (TypeError, ValueError):
            raise FormatError(f"{where}: key is not an even number of hex digits: {key!r}") from None
        if len(key_bytes) > 255:
            raise FormatError(f"{where}: key has {len(key_bytes)} bytes, hash_key_length holds 0 to 255")
        table = value.get("indirection_table", list(default.indirection_table))
        if not isinstance(table, list) or not 1 <= len(table) <= 0x10000:
            raise FormatError(f"{where}: indirection_table must be a list of 1 to 65536 queue numbers")
        for index, entry in enumerate(table):
            _number(entry, 0xFFFF, f"{where}: indirection_table[{index}]")
        return cls(
            features=frozenset(features),
            hash_types=_number(value.get("hash_types", default.hash_types), 0xFFFFFFFF, f"{where}: hash_types"),
            key=key_bytes,
            indirection_table=tuple(table),
            unclassified_queue=_number(
                value.get("unclassified_queue", default.unclassified_queue), 0xFFFF, f"{where}: unclassified_queue"
            ),
            max_tx_vq=_number(value.get("max_tx_vq", default.max_tx_vq), 0xFFFF, f"{where}: max_tx_vq"),
            tunnel_types=_number(value.get("tunnel_types", 0), 0xFFFFFFFF, f"{where}: tunnel_types"),
        )


def _number(value: object, top: int, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= top:
        raise FormatError(f"{where}: expected a whole number from 0 to {top}, got {value!r}")
    return value


def hash_type_names(hash_types: int) -> str:
    """Return e.g. "IPV4|TCPV4", "none" for 0, with bits above 8 in hex."""
    names = [flag.name or "" for flag in HashType if hash_types & flag]
    if hash_types & ~ALL_HASH_TYPES:
        names.append(hex(hash_types & ~ALL_HASH_TYPES))
    return "|".join(names) or "none"


def tunnel_type_names(tunnel_types: int) -> str:
    """Return e.g. "VXLAN|GENEVE", "none" for 0."""
    return "|".join(flag.name or "" for flag in TunnelType if tunnel_types & flag) or "none"


def report_name(report: int) -> str:
    """Return the name of a `hash_report` value, "?N" for one that is not defined (REP-4)."""
    return Report(report).name if 0 <= report <= 9 else f"?{report}"
