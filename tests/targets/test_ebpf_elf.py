from __future__ import annotations

import random
from pathlib import Path

import pytest
from ebpf_support import compiled, needs_clang, needs_kernel
from vnethash.models.ebpf.machine import Machine
from vnethash.models.ebpf.packet import Packet
from vnethash.models.ebpf.program import ARRAY, READ_ONLY, MapDefinition
from vnethash.spec.errors import FormatError, UsageError
from vnethash.targets.ebpf.bpf import KernelProgram
from vnethash.targets.ebpf.elf import parse, read_programs

ROLES = ("test_configurations", "test_toeplitz_key", "test_indirection_table")


@pytest.fixture
def build(tmp_path_factory):
    folder = str(tmp_path_factory.getbasetemp())
    return lambda name, *flags: compiled(name, folder, *flags)


@needs_clang
def test_legacy_map_definitions_are_read(build):
    (program,) = read_programs(build("legacy"))
    assert (program.name, program.section, program.license) == ("steering", "tun_rss_steering", "MIT")
    assert program.maps == tuple(
        MapDefinition(name, ARRAY, 4, size, entries)
        for name, size, entries in zip(ROLES, (10, 40, 2), (1, 1, 128), strict=True)
    )


@needs_clang
def test_btf_map_definitions_are_read(build):
    (program,) = read_programs(build("btf"))
    assert program.section == "socket"
    assert program.maps == tuple(
        MapDefinition(name, ARRAY, 4, size, entries, flags)
        for name, size, entries, flags in zip(ROLES, (10, 40, 2), (1, 1, 256), (0, 1024, 0), strict=True)
    )


@needs_clang
def test_btf_map_definitions_without_btf_are_one_clear_line(build, tmp_path):
    path = build("btf", "-g0")
    with pytest.raises(FormatError, match=r"section \.maps needs BTF") as caught:
        read_programs(path)
    assert caught.value.hint == "compile with -g"


@needs_clang
def test_global_data_becomes_maps_and_subprograms_are_linked_in(build):
    first, second = read_programs(build("globals"))
    assert {each.name for each in first.maps} == {".data", ".bss", ".rodata"}
    assert {each.name: each.flags for each in second.maps}[".rodata"] == READ_ONLY
    machine = Machine(first)
    # deeper(n) + counter + zeroed; each run counts on
    assert [machine.run(Packet.of_test_run(bytes(60))) for _ in range(2)] == [3140, 3143]


@needs_kernel
@needs_clang
def test_the_kernel_takes_global_data_and_subprograms_as_we_link_them(build):
    frames = [bytes(size) for size in range(60, 70)]
    for program in read_programs(build("globals")):
        kernel, machine = KernelProgram(program), Machine(program)
        assert kernel.run(frames) == [machine.run(Packet.of_test_run(frame)) for frame in frames]
        kernel.close()


def test_a_file_that_is_not_elf_is_one_clear_line(tmp_path):
    path = tmp_path / "steering.c"
    path.write_text("int main;")
    with pytest.raises(FormatError) as caught:
        read_programs(path)
    assert caught.value.line() == f"{path}: not an ELF file (clang -O2 -target bpf -c FILE.c makes an eBPF object)"


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_programs(tmp_path / "none.o")


def test_an_elf_file_of_another_machine_is_named():
    with pytest.raises(FormatError, match=r"an ELF file for .*, not for eBPF"):
        read_programs(Path("/proc/self/exe"))


@needs_clang
@pytest.mark.parametrize("length", [4, 40, 64, 700, -1])
def test_a_truncated_elf_file_is_called_truncated(build, length):
    data = build("legacy").read_bytes()[:length]
    with pytest.raises(FormatError, match="truncated ELF file"):
        parse(data, "x.o")


@needs_clang
def test_an_object_without_a_program_section_is_one_clear_line(build):
    path = build("no_program")
    with pytest.raises(FormatError, match="no program section") as caught:
        read_programs(path)
    assert "section of its own" in caught.value.hint


@needs_clang
def test_a_map_of_unknown_form_is_one_clear_line(build):
    source = build("legacy").read_bytes()
    with pytest.raises(FormatError, match="which defines no map") as caught:
        parse(source.replace(b"\0maps\0", b"\0mups\0"), "x.o")
    assert "`.maps` (BTF)" in caught.value.hint


@needs_clang
def test_damaged_objects_never_raise_anything_but_format_errors(build):
    rng = random.Random(7)
    for name in ("legacy", "btf", "globals"):
        sound = build(name).read_bytes()
        for _ in range(150):
            data = bytearray(sound)
            for _ in range(rng.choice((1, 4, 20))):
                data[rng.choice((rng.randrange(len(data)), rng.randrange(64), -rng.randrange(1, 900)))] = rng.choice(
                    (0, 1, 255, rng.randrange(256))
                )
            try:
                for program in parse(bytes(data), "x.o"):
                    Machine(program)
            except FormatError as error:
                assert "\n" not in error.line()  # noqa: PT017
