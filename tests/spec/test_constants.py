"""Relations between the numbers of the hashing text."""

from __future__ import annotations

import pytest
from vnethash.spec import constants as c
from vnethash.spec.constants import Feature, HashType, Report, TunnelType


@pytest.mark.parametrize("report", [report for report in Report if report is not Report.NONE])
def test_the_type_of_a_report_is_one_shifted_by_the_report_less_one(report: Report) -> None:
    stem = report.name.replace("V6_EX", "_EX")
    assert HashType[stem] == 1 << (report - 1)


def test_reports_and_types_are_complete_and_dense() -> None:
    assert [int(report) for report in Report] == list(range(10))
    assert [int(flag) for flag in HashType] == [1 << bit for bit in range(9)]
    assert sum(HashType) == c.ALL_HASH_TYPES == 0x1FF


def test_tunnel_types_are_nine_bits_in_the_order_of_the_text() -> None:
    assert [flag.name for flag in TunnelType] == [
        "GRE_2784", "GRE_2890", "GRE_7676", "GRE_UDP", "VXLAN", "VXLAN_GPE", "GENEVE", "IPIP", "NVGRE",
    ]
    assert [int(flag) for flag in TunnelType] == [1 << bit for bit in range(9)]
    assert sum(TunnelType) == c.ALL_TUNNEL_TYPES == 0x1FF


def test_feature_bits_are_those_of_the_text() -> None:
    assert {feature.name: int(feature) for feature in Feature} == {
        "CTRL_VQ": 17, "MQ": 22, "HASH_TUNNEL": 51, "HASH_REPORT": 57, "RSS": 60, "RSS_CONTEXT": 64,
        "GUEST_UDP_TUNNEL_GSO": 65, "GUEST_UDP_TUNNEL_GSO_CSUM": 66, "HOST_UDP_TUNNEL_GSO": 67,
        "HOST_UDP_TUNNEL_GSO_CSUM": 68, "OUT_NET_HEADER": 69, "IPSEC": 70,
    }


def test_feature_bits_lie_in_the_ranges_of_a_device_type() -> None:
    allowed = {*range(24), 41, 42, *range(50, 128)}
    assert {int(feature) for feature in Feature} <= allowed


def test_commands_are_those_of_the_text() -> None:
    assert (c.CTRL_MQ, c.CTRL_HASH_TUNNEL, c.RSS_CTX_CTRL) == (4, 7, 9)
    assert (c.CTRL_MQ_VQ_PAIRS_SET, c.CTRL_MQ_RSS_CONFIG, c.CTRL_MQ_HASH_CONFIG) == (0, 1, 2)
    assert c.CTRL_HASH_TUNNEL_SET == 0
    assert (c.RSS_CTX_CTRL_CAP_GET, c.RSS_CTX_CTRL_ADD, c.RSS_CTX_CTRL_MOD, c.RSS_CTX_CTRL_DEL) == (0, 1, 2, 3)
    assert (c.ACK_OK, c.ACK_ERR) == (0, 1)
    assert (c.VQ_PAIRS_MIN, c.VQ_PAIRS_MAX) == (1, 0x8000)


def test_the_smallest_key_a_device_takes_is_microsofts_and_covers_the_longest_input() -> None:
    longest_input = 16 + 16 + 2 + 2
    assert len(c.MICROSOFT_KEY) == c.RSS_MIN_MAX_KEY_SIZE == longest_input + 4


def test_the_smallest_table_bound_is_a_power_of_two() -> None:
    assert c.RSS_MIN_MAX_INDIRECTION_TABLE_LENGTH == 1 << 7
