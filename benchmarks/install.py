"""How long installing motionfit takes, and how much it brings along, by package."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from motionfit.benchmarks.result import Figure, Result, ResultError, TimedCase
from motionfit.benchmarks.session import Session

KIND = "install"
EMPTY_CACHE, WARM_CACHE = "install/empty-cache", "install/warm-cache"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "--quiet")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to install."""

    source: Path
    """A git checkout of motionfit."""
    extra: str
    """Such as ``cpu``."""
    warm_rounds: int
    """Installations from a cache that an earlier one has filled."""
    seed: int


@dataclass(frozen=True, kw_only=True)
class Installed:
    """What was measured."""

    empty_cache: TimedCase
    """The first installation: everything is downloaded."""
    warm_cache: TimedCase
    bytes_by_package: dict[str, int]
    """Distribution -> bytes of its files, largest first; compiled modules included."""
    wheel_bytes: int


def measure_install(plan: Plan, *, folder: Path, after_step: Callable[[], None]) -> Installed:
    """Build a wheel in ``folder`` and install it there, each time into a fresh environment.

    pip's cache is a folder of its own, empty at first, so that it is known what was downloaded.
    Raises ResultError when a step fails.
    """
    wheel = _wheel(plan.source, folder)
    after_step()
    times_ms = []
    sizes: dict[str, int] = {}
    for number in range(1 + plan.warm_rounds):
        environment = folder / f"environment-{number}"
        _run(sys.executable, "-m", "venv", "--without-pip", environment)
        into = ("--python", environment / "bin" / "python", "--cache-dir", folder / "cache")
        begin = time.perf_counter()
        _run(sys.executable, *_PIP, *into, "install", f"{wheel}[{plan.extra}]")
        times_ms.append((time.perf_counter() - begin) * 1000)
        _run(environment / "bin" / "motionfit-serve", "--help")
        sizes = sizes or _sizes(environment)
        shutil.rmtree(environment)
        after_step()
    return Installed(
        empty_cache=TimedCase.of(EMPTY_CACHE, times_ms[:1], seed=plan.seed),
        warm_cache=TimedCase.of(WARM_CACHE, times_ms[1:], seed=plan.seed),
        bytes_by_package=sizes,
        wheel_bytes=wheel.stat().st_size,
    )


def install_result(
    plan: Plan, *, folder: Path, session: Session, after_step: Callable[[], None]
) -> Result:
    """``measure_install`` as a result of kind ``install``."""
    found = measure_install(plan, folder=folder, after_step=after_step)
    sizes = {"total": sum(found.bytes_by_package.values()), **found.bytes_by_package}
    return session.finish(
        kind=KIND,
        settings={"extra": plan.extra, "warm_rounds": plan.warm_rounds},
        bundle=None,
        cases=[found.empty_cache, found.warm_cache],
        figures=[
            Figure(name="wheel", unit="bytes", value=found.wheel_bytes),
            *(Figure(name=f"size/{n}", unit="bytes", value=size) for n, size in sizes.items()),
        ],
    )


def _wheel(source: Path, folder: Path) -> Path:
    """A wheel of the checkout's files, built from a copy: building leaves files beside them."""
    listed = _run(
        *("git", "-C", source, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    )
    for name in filter(None, listed.split("\0")):
        if (source / name).is_file():
            (folder / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, folder / "copy" / name)
    _run(sys.executable, *_PIP, "wheel", "--no-deps", "--wheel-dir", folder, folder / "copy")
    (wheel,) = folder.glob("motionfit-*.whl")
    return wheel


def _sizes(environment: Path) -> dict[str, int]:
    (site_packages,) = environment.glob("lib/python*/site-packages")
    found = {one.name: _bytes(one) for one in distributions(path=[str(site_packages)])}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _bytes(distribution: Distribution) -> int:
    total = 0
    for file in distribution.files or ():
        with suppress(FileNotFoundError):
            total += Path(str(distribution.locate_file(file))).stat().st_size
    return total


def _run(*command: str | Path) -> str:
    """What a command printed. Raises ResultError when it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it printed nothing"]
        shown = " ".join([Path(command[0]).name, *map(str, command[1:4])])
        raise ResultError(f"{shown} failed: {lines[-1]}")
    return done.stdout
