"""Numbers of the hashing text: feature bits, hash types, report values, tunnel types, control commands.

Sources: virtio 1.4 sections 5.1.3 (feature bits), 5.1.9.4.3 (hash types), 5.1.9.4.5 (report values),
5.1.9.5 (control commands; these are 5.1.6.x in 1.2 and 1.3); clauses FB-*, HT-*, REP-4, TUN-4, MQ-3, CTX-4.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Feature(IntEnum):
    """Feature bit numbers of the network device that the hashing text names (clauses FB-*)."""

    CTRL_VQ = 17
    MQ = 22
    HASH_TUNNEL = 51
    HASH_REPORT = 57
    RSS = 60
    RSS_CONTEXT = 64
    GUEST_UDP_TUNNEL_GSO = 65
    GUEST_UDP_TUNNEL_GSO_CSUM = 66
    HOST_UDP_TUNNEL_GSO = 67
    HOST_UDP_TUNNEL_GSO_CSUM = 68
    OUT_NET_HEADER = 69
    IPSEC = 70


class HashType(IntFlag):
    """Bits of `hash_types` and `supported_hash_types` (clauses HT-1 to HT-3)."""

    IPV4 = 1 << 0
    TCPV4 = 1 << 1
    UDPV4 = 1 << 2
    IPV6 = 1 << 3
    TCPV6 = 1 << 4
    UDPV6 = 1 << 5
    IP_EX = 1 << 6
    TCP_EX = 1 << 7
    UDP_EX = 1 << 8


ALL_HASH_TYPES = 0x1FF


class Report(IntEnum):
    """Values of `hash_report` (clause REP-4); for all but NONE the hash type is `1 << (report - 1)` (REP-3)."""

    NONE = 0
    IPV4 = 1
    TCPV4 = 2
    UDPV4 = 3
    IPV6 = 4
    TCPV6 = 5
    UDPV6 = 6
    IPV6_EX = 7
    TCPV6_EX = 8
    UDPV6_EX = 9


class TunnelType(IntFlag):
    """Bits of `enabled_tunnel_types` and `supported_tunnel_types` (clause TUN-4)."""

    GRE_2784 = 1 << 0
    GRE_2890 = 1 << 1
    GRE_7676 = 1 << 2
    GRE_UDP = 1 << 3
    VXLAN = 1 << 4
    VXLAN_GPE = 1 << 5
    GENEVE = 1 << 6
    IPIP = 1 << 7
    NVGRE = 1 << 8


ALL_TUNNEL_TYPES = 0x1FF

#: Control virtqueue classes and commands (clauses MQ-3, INN-2, CTX-4).
CTRL_MQ = 4
CTRL_MQ_VQ_PAIRS_SET = 0
CTRL_MQ_RSS_CONFIG = 1
CTRL_MQ_HASH_CONFIG = 2
CTRL_HASH_TUNNEL = 7
CTRL_HASH_TUNNEL_SET = 0
RSS_CTX_CTRL = 9
RSS_CTX_CTRL_CAP_GET = 0
RSS_CTX_CTRL_ADD = 1
RSS_CTX_CTRL_MOD = 2
RSS_CTX_CTRL_DEL = 3

ACK_OK = 0
ACK_ERR = 1

VQ_PAIRS_MIN = 1
VQ_PAIRS_MAX = 0x8000
RSS_MIN_MAX_KEY_SIZE = 40
RSS_MIN_MAX_INDIRECTION_TABLE_LENGTH = 128

#: The key of Microsoft's verification vectors, 40 bytes.
MICROSOFT_KEY = bytes.fromhex(
    "6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa"
)
