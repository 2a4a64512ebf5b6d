"""What `vnethash adapter new --lang c-lib` writes: it builds, passes every check, and is right about IPv4 addresses."""

from __future__ import annotations

import ipaddress
import shlex
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from library_support import HEADER
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.base import Refused
from vnethash.targets.exec.smoke import smoke
from vnethash.targets.kit import header, write
from vnethash.targets.lib.target import open_lib

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scaffolded library, built as it says."""
    folder = tmp_path_factory.mktemp("kit")
    lines = write(folder / "device.c", "c-lib")
    assert [line for line in lines if line.startswith("wrote")] == [
        f"wrote  {folder / 'device.c'}", f"wrote  {folder / 'vnethash.h'}",
    ]  # fmt: skip
    assert f"check  vnethash check lib:{folder / 'device.so'}" in lines
    build = next(line for line in lines if line.startswith("build")).split(maxsplit=1)[1]
    built = subprocess.run([*build.split(), "-Wextra", "-Werror"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "device.so"


@pytest.mark.needs_cc
def test_it_passes_every_check_of_smoke_when_served(library: Path) -> None:
    code = "from vnethash.cli.adapter import adapter; adapter()"
    command = shlex.join([sys.executable, "-c", code, "serve", "--binary", f"lib:{library}"])
    assert [made for made in smoke(command) if not made.ok] == []


@pytest.mark.needs_cc
def test_it_hashes_ipv4_addresses_and_nothing_else(library: Path) -> None:
    ends = ipaddress.ip_address("66.9.149.187").packed + ipaddress.ip_address("161.142.100.80").packed
    frame = bytes.fromhex("0200000000010200000000020800 4500001400010000403b0000") + ends
    with open_lib(str(library)) as target:
        assert target.capabilities.hash_types == 1
        target.configure(Configuration(hash_types=1, indirection_table=tuple(range(100, 228)), unclassified_queue=9))
        hashed = Observation(1, 0x323E8FC2, 100 + 0x323E8FC2 % 128)
        nothing = Observation(0, 0, 9)
        assert target.run([frame, frame[:33], b"", frame]) == [hashed, nothing, nothing, hashed]
        target.configure(Configuration(hash_types=0, unclassified_queue=8))
        assert target.run([frame]) == [Observation(0, 0, 8)]
        target.configure(Configuration(hash_types=1, features=frozenset({"HASH_REPORT"})))
        assert target.run([frame]) == [Observation(1, 0x323E8FC2, -1)]
        with pytest.raises(Refused, match="more than 128"):
            target.configure(Configuration(indirection_table=(0,) * 256))


def test_the_header_goes_beside_it_and_only_over_itself(tmp_path: Path) -> None:
    write(tmp_path / "one.c", "c-lib")
    write(tmp_path / "two.c", "c-lib")
    assert (tmp_path / "vnethash.h").read_text() == header() == HEADER.read_text()
    (tmp_path / "vnethash.h").write_text("mine")
    with pytest.raises(UsageError, match=r"vnethash\.h is there already"):
        write(tmp_path / "three.c", "c-lib")
    assert not (tmp_path / "three.c").exists()
    write(tmp_path / "three.c", "c-lib", force=True)
    assert (tmp_path / "vnethash.h").read_text() == header()
