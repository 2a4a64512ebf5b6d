"""What the control commands of hashing and steering carry, byte by byte."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vnethash.spec import commands
from vnethash.spec.commands import (
    HashConfig,
    HashTunnel,
    RqId,
    RssConfig,
    RssContextAddModify,
    RssContextCap,
    RssContextDel,
    VqPairs,
)
from vnethash.spec.configuration import Configuration
from vnethash.spec.constants import MICROSOFT_KEY
from vnethash.spec.errors import FormatError

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
keys = st.binary(max_size=255)
queue_ids = st.builds(RqId, st.integers(0, 0x7FFF))
any_queue_ids = st.builds(RqId.from_number, U16)
tables = st.integers(0, 6).flatmap(lambda bits: st.tuples(*[queue_ids] * (1 << bits)))
any_tables = st.lists(any_queue_ids, min_size=1, max_size=40).map(tuple)
rss_configs = st.builds(RssConfig, U32, queue_ids, tables, U16, keys)
any_rss_configs = st.builds(RssConfig, U32, any_queue_ids, any_tables, U16, keys)
configurations = st.builds(
    Configuration, hash_types=U32, key=keys, indirection_table=st.lists(U16, min_size=1, max_size=64).map(tuple),
    unclassified_queue=U16, max_tx_vq=U16, tunnel_types=U32,
)


def rss(entries: int, key: int) -> RssConfig:
    return RssConfig(0x1FF, RqId(0), tuple(RqId(number) for number in range(entries)), 1, bytes(key))


@pytest.mark.parametrize(
    ("entries", "key", "size"), [(128, 40, 307), (1, 40, 53), (1, 0, 13), (128, 52, 319), (0x10000, 255, 131338)]
)
def test_an_rss_config_has_11_bytes_and_its_table_and_key(entries: int, key: int, size: int) -> None:
    config = RssConfig(0x1FF, RqId(0), (RqId(0),) * entries, 1, bytes(key))
    assert len(config.encode()) == 11 + 2 * entries + key == size
    assert config.indirection_table_mask == entries - 1


@pytest.mark.parametrize(("key", "size"), [(40, 53), (0, 13), (255, 268)])
def test_a_hash_config_has_13_bytes_and_its_key(key: int, size: int) -> None:
    assert len(HashConfig(0x1FF, bytes(key)).encode()) == size


def test_an_rss_config_has_its_fields_where_the_text_has_them() -> None:
    config = RssConfig(0x04030201, RqId(0x0807), (RqId(0x0A09), RqId(0x0C0B)), 0x0E0D, b"\xaa\xbb\xcc")
    assert config.encode().hex() == "0102030401000708090a0b0c0d0e03aabbcc"
    assert commands.RSS_HEAD.offsets == {"hash_types": 0, "indirection_table_mask": 4, "unclassified_queue": 6}
    assert commands.RSS_HEAD.size == 8
    assert commands.RSS_TAIL.offsets == {"max_tx_vq": 0, "hash_key_length": 2}
    assert commands.RSS_TAIL.size == 3


def test_a_hash_config_has_its_fields_where_the_text_has_them() -> None:
    assert HashConfig(0x04030201, b"\xaa\xbb").encode().hex() == "01020304000000000000000002aabb"
    assert commands.HASH_HEAD.offsets == {"hash_types": 0, "reserved": 4, "hash_key_length": 12}


def test_a_hash_config_is_an_rss_config_with_one_entry() -> None:
    data = HashConfig(7, MICROSOFT_KEY).encode()
    assert RssConfig.decode(data) == RssConfig(7, RqId(0), (RqId(0),), 0, MICROSOFT_KEY)


def test_the_fourth_receive_queue_has_virtqueue_index_6() -> None:
    assert RqId(3).virtqueue_index == 6
    assert RqId(3).number == 3
    assert RqId(3).encode() == b"\3\0"


@given(U16)
def test_a_queue_id_is_15_bits_and_a_reserved_one(number: int) -> None:
    found = RqId.from_number(number)
    assert (found.vq_index_1_16, found.reserved) == (number & 0x7FFF, number >> 15)
    assert found.number == number
    assert RqId.decode(found.encode(), strict=False) == found


@given(rss_configs)
def test_a_legal_rss_config_survives_encode_and_decode(config: RssConfig) -> None:
    assert RssConfig.decode(config.encode()) == config


@given(any_rss_configs)
def test_any_rss_config_survives_encode_and_lenient_decode(config: RssConfig) -> None:
    assert RssConfig.decode(config.encode(), strict=False) == config


@given(st.builds(HashConfig, U32, keys, st.binary(min_size=8, max_size=8)))
def test_any_hash_config_survives_encode_and_lenient_decode(config: HashConfig) -> None:
    assert HashConfig.decode(config.encode(), strict=False) == config


@given(st.builds(RssContextAddModify, U16, any_rss_configs, st.binary(min_size=6, max_size=6)))
def test_any_rss_context_survives_encode_and_lenient_decode(context: RssContextAddModify) -> None:
    assert len(context.encode()) == 8 + len(context.rss.encode())
    assert RssContextAddModify.decode(context.encode(), strict=False) == context


@given(U32)
def test_tunnel_types_survive_encode_and_decode(types: int) -> None:
    assert HashTunnel.decode(HashTunnel(types).encode()) == HashTunnel(types)


@given(U16)
def test_small_commands_survive_encode_and_lenient_decode(number: int) -> None:
    for layout in (VqPairs, RssContextCap, RssContextDel):
        assert layout.decode(layout(number).encode(), strict=False) == layout(number)
        assert len(layout(number).encode()) == 2


@given(configurations)
def test_an_rss_config_carries_a_configuration(configuration: Configuration) -> None:
    command = RssConfig.decode(RssConfig.from_configuration(configuration).encode(), strict=False)
    tunnel = HashTunnel.decode(HashTunnel.from_configuration(configuration).encode())
    assert tunnel.applied_to(command.applied_to(Configuration())) == configuration


@given(configurations)
def test_a_hash_config_carries_types_and_key_of_a_configuration(configuration: Configuration) -> None:
    applied = HashConfig.decode(HashConfig.from_configuration(configuration).encode()).applied_to(Configuration())
    assert applied == Configuration(hash_types=configuration.hash_types, key=configuration.key)


def test_the_default_configuration_is_a_legal_rss_config() -> None:
    data = RssConfig.from_configuration(Configuration()).encode()
    assert len(data) == 307
    assert RssConfig.decode(data).indirection_table_mask == 127


hash_configs = st.builds(HashConfig, U32, keys)
contexts = st.builds(RssContextAddModify, st.integers(1, 0xFFFF), rss_configs)


@given(st.one_of(rss_configs, hash_configs, contexts), st.data())
def test_any_shorter_or_longer_command_is_refused(command: Any, data: st.DataObject) -> None:
    layout, whole = type(command), command.encode()
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(FormatError, match=r"at offset \d+: ends at \d+"):
        layout.decode(whole[:cut])
    with pytest.raises(FormatError, match=rf"bytes? too many from offset {len(whole)} on"):
        layout.decode(whole + bytes(data.draw(st.integers(1, 9))))


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new):]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (rss(4, 40).encode()[:3], "hash_types at offset 0: ends at 3, needs 4 bytes"),
        (rss(4, 40).encode()[:5], "indirection_table_mask at offset 4: ends at 5, needs 6 bytes"),
        (rss(4, 40).encode()[:7], "unclassified_queue at offset 6: ends at 7, needs 8 bytes"),
        (rss(4, 40).encode()[:13], "indirection_table[2] at offset 12: ends at 13, the mask 3 asks for 4 entries"),
        (rss(4, 40).encode()[:17], "max_tx_vq at offset 16: ends at 17, needs 18 bytes"),
        (rss(4, 40).encode()[:18], "hash_key_length at offset 18: ends at 18, needs 19 bytes"),
        (rss(4, 40).encode()[:58], "hash_key_data at offset 19: ends at 58, hash_key_length 40 needs 59 bytes"),
        (rss(4, 40).encode() + b"\0", "1 byte too many from offset 59 on"),
        (rss(3, 40).encode(), "indirection_table_mask at offset 4: 2 + 1 table entries are not a power of two"),
        (patched(rss(4, 40).encode(), 6, b"\0\x80"), "unclassified_queue at offset 6: bit 15 is reserved"),
        (patched(rss(4, 40).encode(), 10, b"\1\x80"), "indirection_table[1] at offset 10: bit 15 is reserved"),
    ],
)
def test_a_wrong_rss_config_is_refused_at_the_field(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(f"virtio_net_rss_config: {message}")):
        RssConfig.decode(data)


def test_what_a_driver_must_not_send_can_be_read_leniently() -> None:
    data = patched(rss(3, 40).encode(), 6, b"\0\x80")
    found = RssConfig.decode(data, strict=False)
    assert len(found.indirection_table) == 3
    assert found.unclassified_queue == RqId(0, 1)


def test_reserved_words_of_a_hash_config_are_refused_only_if_strict() -> None:
    data = HashConfig(1, b"k", b"\0\0\0\0\0\0\1\0").encode()
    with pytest.raises(FormatError, match=r"virtio_net_hash_config: reserved at offset 4: is reserved .*HCF-6"):
        HashConfig.decode(data)
    assert HashConfig.decode(data, strict=False).reserved == b"\0\0\0\0\0\0\1\0"


def test_a_wrong_hash_config_is_refused_at_the_field() -> None:
    data = HashConfig(1, bytes(40)).encode()
    cuts = {
        3: "hash_types at offset 0", 11: "reserved at offset 4", 12: "hash_key_length at offset 12",
        52: "hash_key_data at offset 13",
    }
    for cut, field in cuts.items():
        with pytest.raises(FormatError, match=f"virtio_net_hash_config: {field}: ends at {cut}"):
            HashConfig.decode(data[:cut])


def test_a_wrong_rss_context_is_refused_at_its_own_offset() -> None:
    data = RssContextAddModify(1, rss(4, 40)).encode()
    with pytest.raises(FormatError, match=r"virtnet_rss_ctx_add_modify: reserved at offset 2: ends at 7"):
        RssContextAddModify.decode(data[:7])
    with pytest.raises(FormatError, match=r"virtnet_rss_ctx_add_modify: hash_types at offset 8: ends at 9"):
        RssContextAddModify.decode(data[:9])
    with pytest.raises(FormatError, match=r"virtnet_rss_ctx_add_modify: unclassified_queue at offset 14: bit 15"):
        RssContextAddModify.decode(patched(data, 14, b"\0\x80"))
    with pytest.raises(FormatError, match=r"virtnet_rss_ctx_add_modify: rss_ctx_id at offset 0: expected .* from 1"):
        RssContextAddModify.decode(patched(data, 0, b"\0\0"))


def test_reserved_bytes_of_an_rss_context_may_hold_anything() -> None:
    context = RssContextAddModify(1, rss(4, 40), b"abcdef")
    assert RssContextAddModify.decode(context.encode()) == context


@pytest.mark.parametrize("layout", [VqPairs, RssContextCap, RssContextDel])
def test_small_commands_refuse_zero_and_other_lengths(layout: Any) -> None:
    with pytest.raises(FormatError, match=r"at offset 0: expected a whole number from 1 to"):
        layout.decode(b"\0\0")
    with pytest.raises(FormatError, match=r"at offset 0: ends at 1, needs 2"):
        layout.decode(b"\1")
    with pytest.raises(FormatError, match=r"1 byte too many from offset 2 on"):
        layout.decode(b"\1\0\0")


def test_more_queue_pairs_than_any_device_has_are_refused() -> None:
    assert VqPairs.decode(b"\0\x80").virtqueue_pairs == 0x8000
    with pytest.raises(FormatError, match=r"virtqueue_pairs at offset 0: expected a whole number from 1 to 32768"):
        VqPairs.decode(b"\1\x80")


def test_tunnel_types_have_four_bytes() -> None:
    with pytest.raises(FormatError, match=r"virtnet_hash_tunnel: enabled_tunnel_types at offset 0: ends at 3"):
        HashTunnel.decode(bytes(3))
    with pytest.raises(FormatError, match=r"virtnet_hash_tunnel: 4 bytes too many from offset 4 on"):
        HashTunnel.decode(bytes(8))


def test_a_queue_id_refuses_what_it_cannot_hold() -> None:
    for wrong in (RqId(0x8000), RqId(-1), RqId(0, 2)):
        with pytest.raises(FormatError, match=r"rss_rq_id: \w+ at offset 0: expected"):
            wrong.encode()
    with pytest.raises(FormatError, match=r"rss_rq_id: vq_index_1_16 at offset 0: expected"):
        RqId.from_number(0x10000)
    with pytest.raises(FormatError, match=r"rss_rq_id: reserved at offset 0: is reserved .*RSS-3"):
        RqId.decode(b"\0\x80")


def test_an_rss_config_refuses_to_encode_what_it_cannot_hold() -> None:
    with pytest.raises(FormatError, match=r"indirection_table at offset 8: has 0 entries"):
        RssConfig(0, RqId(0), (), 0, b"").encode()
    with pytest.raises(FormatError, match=r"indirection_table at offset 8: has 65537 entries"):
        RssConfig(0, RqId(0), (RqId(0),) * 65537, 0, b"").encode()
    with pytest.raises(FormatError, match=r"hash_key_length at offset 12: expected .* from 0 to 255, got 256"):
        rss(1, 256).encode()
    with pytest.raises(FormatError, match=r"virtio_net_hash_config: hash_key_length at offset 12: .* got 256"):
        HashConfig(0, bytes(256)).encode()
    with pytest.raises(FormatError, match=r"max_tx_vq at offset 12"):
        RssConfig(0, RqId(0), (RqId(0), RqId(0)), 0x10000, b"").encode()


def test_every_command_knows_its_class_and_number() -> None:
    assert RssConfig.HEADER.encode() == b"\4\1"
    assert HashConfig.HEADER.encode() == b"\4\2"
    assert VqPairs.HEADER.encode() == b"\4\0"
    assert HashTunnel.HEADER.encode() == b"\7\0"
    assert RssContextCap.HEADER.encode() == b"\x09\0"
    assert RssContextAddModify.ADD.encode() == b"\x09\1"
    assert RssContextAddModify.MOD.encode() == b"\x09\2"
    assert RssContextDel.HEADER.encode() == b"\x09\3"
