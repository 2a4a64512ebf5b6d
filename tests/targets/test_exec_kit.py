"""The adapters that `vnethash adapter new` writes: short, complete, and right about IPv4 addresses."""

import ipaddress
import subprocess
import sys

import pytest
from vnethash.spec.configuration import Configuration
from vnethash.spec.errors import UsageError
from vnethash.spec.outcome import Observation
from vnethash.targets.exec.client import open_exec
from vnethash.targets.exec.smoke import smoke
from vnethash.targets.kit import TEMPLATES, template, write

#: Microsoft's verification vectors over IPv4: source, destination, hash of both.
MICROSOFT = [
    ("66.9.149.187", "161.142.100.80", 0x323E8FC2),
    ("199.92.111.2", "65.69.140.83", 0xD718262A),
    ("24.19.198.95", "12.22.207.184", 0xD2D0A5DE),
    ("38.27.205.30", "209.142.163.6", 0x82989176),
    ("153.39.163.191", "202.188.127.2", 0x5D1809C5),
]
LANGUAGES = [
    "python",
    pytest.param("c", marks=pytest.mark.needs_cc),
]


def ipv4_frame(source, destination, payload=b""):
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(destination).packed
    head = bytes.fromhex("0200000000010200000000020800 4500") + (20 + len(payload)).to_bytes(2, "big")
    return head + bytes.fromhex("00010000403b0000") + addresses + payload


@pytest.fixture(scope="module", params=LANGUAGES)
def adapter(request, tmp_path_factory):
    """A scaffolded adapter, built as its own header says."""
    folder = tmp_path_factory.mktemp("kit")
    if request.param == "python":
        write(folder / "adapter.py")
        return f"{sys.executable} {folder / 'adapter.py'}"
    lines = write(folder / "adapter.c")
    build = next(line for line in lines if line.startswith("build")).split(maxsplit=1)[1]
    built = subprocess.run([*build.split(), "-Wextra", "-Werror"], capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return str(folder / "adapter")


@pytest.mark.parametrize("lang", TEMPLATES)
def test_a_template_has_at_most_60_lines_of_at_most_120_columns(lang):
    lines = template(lang).splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 120


def test_the_c_template_says_how_it_is_built():
    assert "cc -O2 -Wall -o adapter adapter.c" in template("c")


def test_it_passes_every_check_of_smoke(adapter):
    assert [check for check in smoke(adapter) if not check.ok] == []


def test_it_claims_ipv4_and_nothing_else(adapter):
    with open_exec(adapter, validate=True) as target:
        assert target.capabilities.hash_types == 1
        assert target.capabilities.observes == {"report", "value", "queue"}


def test_it_gives_the_hashes_of_microsoft(adapter):
    configuration = Configuration(hash_types=1, indirection_table=tuple(range(100, 228)))
    with open_exec(adapter, validate=True) as target:
        target.configure(configuration)
        results = target.run([ipv4_frame(source, destination) for source, destination, _ in MICROSOFT])
    assert results == [Observation(1, value, 100 + value % 128) for _, _, value in MICROSOFT]


def test_it_leaves_everything_else_unclassified(adapter):
    frames = [b"", b"\x08", bytes(14), ipv4_frame("1.2.3.4", "5.6.7.8")[:33], bytes(12) + b"\x86\xdd" + bytes(60)]
    with open_exec(adapter, validate=True) as target:
        target.configure(Configuration(hash_types=1, unclassified_queue=9))
        assert target.run(frames) == [Observation(0, 0, 9)] * len(frames)
        target.configure(Configuration(hash_types=0, unclassified_queue=8))
        assert target.run([ipv4_frame("1.2.3.4", "5.6.7.8")]) == [Observation(0, 0, 8)]


@pytest.mark.parametrize("length", [0, 1, 4, 11, 12, 40, 52, 255])
def test_keys_of_any_length(adapter, length):
    from vnethash.models.toeplitz import toeplitz

    key = bytes((7 * index + 3) & 255 for index in range(length))
    frame = ipv4_frame("66.9.149.187", "161.142.100.80")
    with open_exec(adapter) as target:
        target.configure(Configuration(hash_types=1, key=key))
        (result,) = target.run([frame])
    assert isinstance(result, Observation)
    assert result.value == toeplitz(key.ljust(12, b"\0"), frame[26:34])


@pytest.mark.parametrize("size", [1, 2, 128, 512])
def test_tables_of_any_size(adapter, size):
    with open_exec(adapter) as target:
        target.configure(Configuration(hash_types=1, indirection_table=tuple(range(1000, 1000 + size))))
        (result,) = target.run([ipv4_frame("66.9.149.187", "161.142.100.80")])
    assert result == Observation(1, 0x323E8FC2, 1000 + 0x323E8FC2 % size)


class TestWrite:
    def test_the_ending_says_the_language(self, tmp_path):
        write(tmp_path / "a.py")
        write(tmp_path / "a.c")
        write(tmp_path / "a", "c")
        assert (tmp_path / "a.py").read_text() == template("python")
        assert (tmp_path / "a.c").read_text() == (tmp_path / "a").read_text() == template("c")
        assert (tmp_path / "a.py").stat().st_mode & 0o111

    @pytest.mark.parametrize(
        ("name", "words"),
        [("a.rs", "in which language"), ("folder", "is a folder"), ("there.py", "is there already"),
         ("missing/a.py", "No such file")],
    )  # fmt: skip
    def test_mistakes_are_one_line(self, tmp_path, name, words):
        (tmp_path / "folder").mkdir()
        (tmp_path / "there.py").write_text("mine")
        with pytest.raises(UsageError, match=words):
            write(tmp_path / name, "python" if name == "folder" else None)
        assert (tmp_path / "there.py").read_text() == "mine"

    def test_force_overwrites(self, tmp_path):
        (tmp_path / "there.py").write_text("mine")
        write(tmp_path / "there.py", force=True)
        assert (tmp_path / "there.py").read_text() == template("python")
