"""What stands before the IP header: tags, and versions that contradict the EtherType."""

from __future__ import annotations

import pytest
from vnethash.models.link import link
from vnethash.models.reference import outcome
from vnethash.spec.configuration import Configuration
from vnethash.spec.craft import ethernet, ipv4, ipv6, udp
from vnethash.spec.readings import EthertypeVersion, Readings, VlanTags, VlanTpid

#: Tags, and how many bytes of them each reading takes before the IP header; None where it sees no IP packet.
TAKEN: dict[tuple[int, ...], tuple[int | None, ...]] = {
    # any, one, ordered, none, service-pair, service-type
    (): (0, 0, 0, 0, 0, 0),
    (0x8100,): (4, 4, 4, None, 4, 4),
    (0x88A8,): (4, 4, 4, None, None, None),
    (0x88A8, 0x8100): (8, None, 8, None, 8, 8),
    (0x88A8, 0x88A8): (8, None, None, None, 8, 8),
    (0x8100, 0x8100): (8, None, None, None, None, None),
    (0x88A8, 0x8100, 0x8100): (12, None, None, None, None, None),
    # 9100 is no tag: the EtherType is read behind it all the same, and the header where the tags end.
    (0x88A8, 0x9100): (None, None, None, None, 8, 4),
    (0x9100,): (None, None, None, None, None, None),
}


@pytest.mark.parametrize("tags", TAKEN)
@pytest.mark.parametrize("part", [ipv4(udp()), ipv6(udp())], ids=["IPv4", "IPv6"])
def test_tags_are_skipped_as_asked(tags: tuple[int, ...], part: object) -> None:
    frame = ethernet(part, tags=tuple((tag, 0x0064) for tag in tags))  # type: ignore[arg-type]
    for reading, taken in zip(VlanTags, TAKEN[tags], strict=True):
        found = link(frame, len(frame), Readings(vlan_tags=reading))
        assert (found.offset - 14 if found.ethertype else None) == taken, reading.name


def test_a_single_service_tag_is_a_pair_where_the_packet_itself_says_so() -> None:
    frame = bytearray(ethernet(ipv4(udp()), tags=((0x88A8, 0x0064),)))
    frame[20:22] = b"\x08\x00"  # Total Length, where the EtherType of a second tag would stand
    pair, type_only = (link(bytes(frame), len(frame), Readings(vlan_tags=reading)) for reading in (4, 5))
    assert (pair.ethertype, pair.offset) == (0x0800, 22)
    assert (type_only.ethertype, type_only.offset) == (0x0800, 18)
    cut = link(bytes(frame[:21]), 21, Readings(vlan_tags=VlanTags.SERVICE_TYPE))
    assert cut.offset <= 21


def test_with_9100_as_a_tag_a_service_pair_is_two_tags_for_everyone() -> None:
    frame = ethernet(ipv4(udp()), tags=((0x88A8, 1), (0x9100, 2)))
    found = link(frame, len(frame), Readings(vlan_tpid=VlanTpid.LEGACY_TOO))
    assert (found.ethertype, found.offset) == (0x0800, 22)


@pytest.mark.parametrize(
    ("reading", "as_ipv4", "as_ipv6"),
    [
        (EthertypeVersion.AGREE, 0, 0),
        (EthertypeVersion.ETHERTYPE, 3, 6),
        (EthertypeVersion.VERSION, 0, 0),
        (EthertypeVersion.ADDRESSES, 1, 6),
        (EthertypeVersion.IPV4_AGREES, 0, 6),
    ],
)
def test_a_version_that_is_none_is_read_as_asked(reading: EthertypeVersion, as_ipv4: int, as_ipv6: int) -> None:
    for part, report in ((ipv4(udp()), as_ipv4), (ipv6(udp()), as_ipv6)):
        frame = bytearray(ethernet(part))
        frame[14] = 0x50 | frame[14] & 15
        assert outcome(bytes(frame), Configuration(), Readings(ethertype_version=reading)).report == report
