"""What a process and those it started take of the machine, read from /proc (Linux)."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_GONE = (FileNotFoundError, ProcessLookupError)


def family(pid: int) -> list[int]:
    """The process, then its children and theirs, zombies included."""
    found = [pid]
    for parent in found:
        for task in _listed(Path(f"/proc/{parent}/task")):
            with suppress(*_GONE):
                found += map(int, (task / "children").read_text().split())
    return found


def proportional_bytes(pids: Iterable[int]) -> int:
    """Memory of processes (PSS): what one shares with others counts by its share."""
    return sum(_pss_bytes(pid) for pid in pids)


def zombies(pid: int) -> list[int]:
    """Those of the process's family that ended and were not waited for."""
    return [one for one in family(pid) if _state(one) == "Z"]


def open_files(pid: int) -> int:
    """How many files, sockets and pipes the process has open."""
    return len(_listed(Path(f"/proc/{pid}/fd")))


def unnamed_files(pid: int) -> int:
    """How many files without a name, as temporary ones are, the process's family has open."""
    count = 0
    for one in family(pid):
        for link in _listed(Path(f"/proc/{one}/fd")):
            with suppress(*_GONE):
                target = str(link.readlink())
                count += target.startswith("/") and target.endswith("(deleted)")
    return count


def _pss_bytes(pid: int) -> int:
    with suppress(*_GONE):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0  # it has ended, or is a zombie, which has no memory


def _state(pid: int) -> str:
    with suppress(*_GONE):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def _listed(folder: Path) -> list[Path]:
    with suppress(*_GONE):
        return list(folder.iterdir())
    return []
