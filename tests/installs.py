"""Copies of the repository, and virtual environments to install them into."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def repository_files() -> list[Path]:
    """Every file of the working tree that git does not ignore, relative to the root."""
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).is_file()]


def copy_repository(folder: Path) -> None:
    """What a clone would hold had everything been committed: no leftover of a build gets in."""
    for path in repository_files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)


def make_environment(folder: Path, *, pip: bool) -> Path:
    """Make an empty virtual environment; returns its site-packages."""
    run(sys.executable, "-m", "venv", *([] if pip else ["--without-pip"]), folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    return site_packages


def borrow_packages(site_packages: Path) -> None:
    """Let an environment import the running one's packages, except those installed editable."""
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
