"""The kernel's flow dissector as a witness: what its mask says, and where it cannot be had."""

from __future__ import annotations

import os
import random

import pytest
from vnethash.spec.craft import ethernet, ipv4, ipv6, tcp, udp
from vnethash.spec.errors import TargetDied, TargetUnavailable, UsageError
from vnethash.targets.base import Skipped
from vnethash.targets.ebpf import bpf
from vnethash.targets.linux import dissector as module
from vnethash.targets.linux.dissector import Dissector, assemble, probe
from vnethash.targets.registry import open_target, open_witness

needs_kernel = pytest.mark.needs_kernel


@pytest.fixture(scope="module")
def dissector():
    found = Dissector()
    yield found
    found.close()
    found.close()


@needs_kernel
def test_every_bit_of_addresses_and_ports_counts_and_no_bit_of_a_payload(dissector):
    frame = ethernet(ipv4(udp(payload=bytes(20))))
    mask = dissector.covered(frame)
    assert len(mask) == len(frame)
    assert mask[26:38] == b"\xff" * 12
    assert mask[:12] == bytes(12), "Ethernet addresses"
    assert mask[38:] == bytes(len(frame) - 38)
    assert mask[18:20] == bytes(2), "the IPv4 identification"


@needs_kernel
def test_a_flow_label_stands_for_the_ports_and_a_tag_counts_without_its_dei(dissector):
    mask = dissector.covered(ethernet(ipv6(tcp(), flow_label=0x12345)))
    assert mask[54:58] == bytes(4)
    assert mask[15:18] == b"\x0f\xff\xff"
    tagged = dissector.covered(ethernet(ipv4(tcp()), tags=((0x8100, 0x7064),)))
    assert tagged[14:16] == b"\xef\xff"


@needs_kernel
def test_the_mask_is_what_flipping_the_bits_one_by_one_shows(dissector):
    """The hash of a frame by itself is what the mask was made of; some bits at random."""
    rng = random.Random(3)
    frame = ethernet(ipv6(udp(payload=bytes(8))))
    mask, (plain,) = dissector.covered(frame), dissector.hashes([frame])
    for bit in rng.sample(range(8 * len(frame)), 60):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        (other,) = dissector.hashes([bytes(flipped)])
        same = isinstance(other, Skipped) or other == plain
        assert same is not bool(mask[bit // 8] >> bit % 8 & 1)


@needs_kernel
def test_the_hash_is_symmetric_so_that_exchanging_tells_nothing(dissector):
    frame = ethernet(ipv4(tcp()))
    exchanged = frame[:26] + frame[30:34] + frame[26:30] + frame[34:]
    one, two = dissector.hashes([frame, exchanged])
    assert one == two != 0


@needs_kernel
def test_where_bpf_is_not_permitted_it_is_unavailable_and_says_why(monkeypatch):
    monkeypatch.setattr(module.bpf, "permitted", lambda: "bpf(2) is not permitted (EPERM)")
    with pytest.raises(TargetUnavailable, match="EPERM"):
        Dissector()
    (line,) = probe()
    assert not line.available
    assert line.reason == "bpf(2) is not permitted (EPERM)"
    assert line.witness
    assert not line.judged


@needs_kernel
def test_a_frame_that_the_kernel_refuses_is_an_error_and_not_a_mask(dissector):
    with pytest.raises(TargetDied, match="EINVAL"):
        dissector.covered(ethernet(ipv4(tcp()))[:20])


@needs_kernel
def test_the_program_is_for_classifiers_and_no_socket_filter():
    """A socket filter may not ask for the hash: the kind that is loaded matters."""
    with pytest.raises(TargetDied, match="program of this type cannot use helper"):
        bpf.KernelProgram(assemble())


@needs_kernel
def test_it_says_which_kernel_and_when(dissector):
    assert os.uname().release in dissector.machine
    assert dissector.machine.endswith("Z")
    assert dissector.implementation.version == os.uname().release


def test_a_witness_is_no_target():
    with pytest.raises(UsageError, match="is a witness, not a target"):
        open_target("linux-dissector")
    with pytest.raises(UsageError, match="no witness"):
        open_witness("model:literal")
