"""The configuration space, the packet header and the frame of control commands, byte by byte."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.spec import layouts
from vnethash.spec.errors import FormatError
from vnethash.spec.layouts import NET_CONFIG, NET_HEADER, ControlAck, ControlHeader, NetConfig, NetHeader

U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)

net_configs = st.builds(
    NetConfig, st.binary(min_size=6, max_size=6), U16, U16, U16, U32, U8, U8, U16, U32, U32,
)


@st.composite
def net_headers(draw: st.DrawFn) -> NetHeader:
    size = draw(st.sampled_from(layouts.NET_HEADER_SIZES))
    values = {"size": size}
    for field, code in NET_HEADER.fields:
        reached = NET_HEADER.offsets[field] < size and field != "padding_reserved"
        values[field] = draw({"B": U8, "H": U16, "I": U32}[code]) if reached else 0
    return NetHeader(**values)


def test_the_configuration_space_has_its_fields_where_the_text_has_them() -> None:
    assert NET_CONFIG.offsets == {
        "mac": 0, "status": 6, "max_virtqueue_pairs": 8, "mtu": 10, "speed": 12, "duplex": 16, "rss_max_key_size": 17,
        "rss_max_indirection_table_length": 18, "supported_hash_types": 20, "supported_tunnel_types": 24,
    }
    assert NET_CONFIG.size == 28


def test_the_packet_header_has_its_fields_where_the_text_has_them() -> None:
    assert NET_HEADER.offsets == {
        "flags": 0, "gso_type": 1, "hdr_len": 2, "gso_size": 4, "csum_start": 6, "csum_offset": 8, "num_buffers": 10,
        "hash_value": 12, "hash_report": 16, "padding_reserved": 18, "outer_th_offset": 20, "inner_nh_offset": 22,
        "outer_nh_offset": 24, "resource_id": 26, "resource_type": 30,
    }
    assert NET_HEADER.size == 32


@pytest.mark.parametrize(("structure", "layout"), [(NET_CONFIG, NetConfig), (NET_HEADER, NetHeader)])
def test_declared_fields_are_those_of_the_class(structure: layouts.Structure, layout: type) -> None:
    names = [field.name for field in dataclasses.fields(layout) if field.name != "size"]
    assert names == [field for field, _ in structure.fields]


@given(net_configs)
def test_a_configuration_space_survives_encode_and_decode(config: NetConfig) -> None:
    assert len(config.encode()) == 28
    assert NetConfig.decode(config.encode()) == config


@given(net_headers())
def test_a_header_survives_encode_and_decode(header: NetHeader) -> None:
    assert len(header.encode()) == header.size
    assert NetHeader.decode(header.encode()) == header


@given(st.sampled_from(layouts.NET_HEADER_SIZES).flatmap(lambda size: st.binary(min_size=size, max_size=size)))
def test_any_bytes_of_a_header_survive_decode_and_encode(data: bytes) -> None:
    assert NetHeader.decode(data, strict=False).encode() == data


def test_numbers_are_little_endian() -> None:
    config = NetConfig(
        mac=bytes.fromhex("020000000001"), max_virtqueue_pairs=4, rss_max_key_size=40,
        rss_max_indirection_table_length=128, supported_hash_types=0x1FF, supported_tunnel_types=0x10,
    )
    assert config.encode().hex() == "0200000000010000040000000000000000288000ff01000010000000"
    header = NetHeader(size=20, hash_value=0x51CCC178, hash_report=2)
    assert header.encode().hex() == "00000000000000000000010078c1cc5102000000"


@pytest.mark.parametrize("size", range(28))
def test_a_short_configuration_space_is_refused_at_the_field_that_is_cut(size: int) -> None:
    with pytest.raises(FormatError) as caught:
        NetConfig.decode(bytes(size))
    field = next(name for name, code in NET_CONFIG.fields if NET_CONFIG.offsets[name] + _width(code) > size)
    assert caught.value.message.startswith(f"virtio_net_config: {field} at offset {NET_CONFIG.offsets[field]}: ends at")


def test_a_long_configuration_space_is_refused() -> None:
    with pytest.raises(FormatError, match=r"virtio_net_config: 1 byte too many from offset 28 on"):
        NetConfig.decode(bytes(29))


@pytest.mark.parametrize("size", [0, 10, 11, 13, 19, 21, 28, 33])
def test_a_header_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(FormatError, match=rf"virtio_net_hdr: has {size} bytes"):
        NetHeader.decode(bytes(size))
    with pytest.raises(FormatError, match=rf"virtio_net_hdr: has {size} bytes"):
        NetHeader(size=size).encode()


def test_a_value_behind_the_end_of_a_header_is_refused() -> None:
    with pytest.raises(FormatError, match=r"hash_value at offset 12: is 7, but a header of 12 bytes"):
        NetHeader(size=12, hash_value=7).encode()
    with pytest.raises(FormatError, match=r"outer_nh_offset at offset 24"):
        NetHeader(size=24, outer_nh_offset=14).encode()


def test_padding_that_is_not_zero_is_refused_only_if_strict() -> None:
    data = NetHeader(size=20, padding_reserved=0x1234).encode()
    with pytest.raises(FormatError, match=r"padding_reserved at offset 18: is reserved .*HDR-1.* 0x1234"):
        NetHeader.decode(data)
    assert NetHeader.decode(data, strict=False).padding_reserved == 0x1234


@pytest.mark.parametrize(
    ("features", "size"),
    [
        ((), 12), (("RSS",), 12), (("HASH_REPORT",), 20), (("RSS", "HASH_REPORT", "HASH_TUNNEL"), 20),
        (("HOST_UDP_TUNNEL_GSO",), 24), (("GUEST_UDP_TUNNEL_GSO", "HASH_REPORT"), 24), (("OUT_NET_HEADER",), 32),
        (("IPSEC", "HOST_UDP_TUNNEL_GSO", "HASH_REPORT"), 32),
    ],
)
def test_the_size_of_a_header_follows_from_the_features(features: tuple[str, ...], size: int) -> None:
    assert layouts.net_header_size(features) == size


@pytest.mark.parametrize("value", [-1, 0x10000, True, "1"])
def test_a_value_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(FormatError, match=r"virtio_net_config: mtu at offset 10: expected a whole number"):
        NetConfig(mtu=value).encode()


def test_a_mac_of_another_length_is_refused() -> None:
    with pytest.raises(FormatError, match=r"virtio_net_config: mac at offset 0: expected 6 bytes"):
        NetConfig(mac=bytes(5)).encode()


@given(U8, U8)
def test_a_control_header_survives_encode_and_decode(command_class: int, command: int) -> None:
    header = ControlHeader(command_class, command)
    assert header.encode() == bytes((command_class, command))
    assert ControlHeader.decode(header.encode()) == header


def test_a_control_header_has_two_bytes() -> None:
    with pytest.raises(FormatError, match=r"virtio_net_ctrl: command at offset 1: ends at 1, needs 2"):
        ControlHeader.decode(b"\4")
    with pytest.raises(FormatError, match=r"virtio_net_ctrl: 2 bytes too many from offset 2 on"):
        ControlHeader.decode(bytes(4))


def test_an_ack_is_ok_or_an_error() -> None:
    assert ControlAck.decode(b"\0").ok
    assert not ControlAck.decode(b"\1").ok
    assert ControlAck(1).encode() == b"\1"
    with pytest.raises(FormatError, match=r"ack at offset 0: expected 0 or 1 \(CVQ-1\), got 255"):
        ControlAck.decode(b"\xff")
    assert ControlAck.decode(b"\xff", strict=False).ack == 0xFF
    with pytest.raises(FormatError, match=r"ack at offset 0: ends at 0"):
        ControlAck.decode(b"")
    with pytest.raises(FormatError, match=r"1 byte too many"):
        ControlAck.decode(bytes(2))


def test_layouts_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        NetHeader().hash_value = 1  # type: ignore[misc]


def _width(code: str) -> int:
    return {"B": 1, "H": 2, "I": 4, "6s": 6}[code]
