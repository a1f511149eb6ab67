"""What a process gives up for good, so that code of strangers which takes it over can do no harm.

- Its limits: no file of its own can grow, no process can be started, no descriptor is left to open
  anything with.
- ``no_new_privs``: no program that it starts could have more rights than it.
- Landlock without a single rule: no path can be opened, made or removed, no TCP connection made,
  no process outside be traced or, in newer kernels, sent a signal.
- seccomp with a list of the system calls that decoding needs: all others fail with EPERM, sockets,
  programs, signals, threads and higher limits among them. They fail and do not kill, because
  libraries ask for things that they can do without.

The last two depend on the kernel and on what it lets a process do to itself, for example in a
container; what is not to be had is left out. Each of them is enough to keep files shut.
"""

import ctypes
import os
import platform
import resource
import struct
import sys
from contextlib import suppress

MEASURES = {
    "limits": "limits of the kernel",
    "no_new_privileges": "no_new_privs",
    "shut_paths": "Landlock",
    "filter_calls": "seccomp",
}
"""What ``confine`` may return -> the kernel's name of it."""

_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38

_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
# Version of Landlock in the kernel -> kinds of access to files that it knows; later ones know all.
_LANDLOCK_FILE_ACCESS = {1: 13, 2: 14, 3: 15, 4: 15}
_LANDLOCK_ALL_FILE_ACCESS = 16
_LANDLOCK_NET_VERSION = 4  # TCP: bind, connect
_LANDLOCK_SCOPE_VERSION = 6  # abstract sockets, signals

_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | 1  # with EPERM
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_X32 = 0x40000000  # the calls of another interface begin here

# Machine -> its number in the kernel's audit.h, and the numbers of the calls that decoding needs.
_CALLS = {
    "x86_64": (
        0xC000003E,
        {
            "read": 0,
            "write": 1,
            "close": 3,
            "fstat": 5,
            "poll": 7,
            "lseek": 8,
            "mmap": 9,
            "mprotect": 10,
            "munmap": 11,
            "brk": 12,
            "rt_sigaction": 13,
            "rt_sigprocmask": 14,
            "rt_sigreturn": 15,
            "pread64": 17,
            "readv": 19,
            "sched_yield": 24,
            "mremap": 25,
            "madvise": 28,
            "setitimer": 38,
            "getpid": 39,
            "sendto": 44,
            "recvfrom": 45,
            "recvmsg": 47,
            "exit": 60,
            "gettimeofday": 96,
            "getrusage": 98,
            "sigaltstack": 131,
            "gettid": 186,
            "futex": 202,
            "restart_syscall": 219,
            "clock_gettime": 228,
            "exit_group": 231,
            "getrandom": 318,
        },
    ),
    "aarch64": (
        0xC00000B7,
        {
            "close": 57,
            "lseek": 62,
            "read": 63,
            "write": 64,
            "readv": 65,
            "pread64": 67,
            "ppoll": 73,
            "fstat": 80,
            "exit": 93,
            "exit_group": 94,
            "futex": 98,
            "setitimer": 103,
            "clock_gettime": 113,
            "sched_yield": 124,
            "restart_syscall": 128,
            "sigaltstack": 132,
            "rt_sigaction": 134,
            "rt_sigprocmask": 135,
            "rt_sigreturn": 139,
            "getrusage": 165,
            "gettimeofday": 169,
            "getpid": 172,
            "gettid": 178,
            "sendto": 206,
            "recvfrom": 207,
            "recvmsg": 212,
            "brk": 214,
            "munmap": 215,
            "mremap": 216,
            "mmap": 222,
            "mprotect": 226,
            "madvise": 233,
            "getrandom": 278,
        },
    ),
}


def limit_memory(more_bytes: int) -> None:
    """Cap the address space at what is in use now and ``more_bytes``; leave no core files.

    A lower cap that is there already stays.
    """
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[0])
    _cap(resource.RLIMIT_AS, pages * resource.getpagesize() + more_bytes)
    _cap(resource.RLIMIT_CORE, 0)


def volunteer_when_memory_is_short() -> None:
    """Be what the kernel ends first when the machine has no more memory, where it may be told."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
        score.write("1000")


def confine(*, descriptors: int) -> tuple[str, ...]:
    """Give up what the module says; at most ``descriptors`` files are open at a time from now on.

    Returns the names of the measures that hold, as the kernel may lack some. For a process with
    one thread, after everything was imported.
    """
    _cap(resource.RLIMIT_NOFILE, descriptors)
    _cap(resource.RLIMIT_FSIZE, 0)
    _cap(resource.RLIMIT_NPROC, 0)
    measures = (no_new_privileges, shut_paths, filter_calls)
    return ("limits", *(measure.__name__ for measure in measures if measure()))


def no_new_privileges() -> bool:
    """Set ``no_new_privs``, which a process must before it confines itself. False: cannot be."""
    return _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0


def shut_paths() -> bool:
    """Landlock without a rule. False: not to be had."""
    version = _call("syscall", _LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION)
    if version < 1:
        return False
    files = (1 << _LANDLOCK_FILE_ACCESS.get(version, _LANDLOCK_ALL_FILE_ACCESS)) - 1
    ruleset = struct.pack("=Q", files)
    if version >= _LANDLOCK_NET_VERSION:
        ruleset += struct.pack("=Q", 0b11)
    if version >= _LANDLOCK_SCOPE_VERSION:
        ruleset += struct.pack("=Q", 0b11)
    descriptor = _call("syscall", _LANDLOCK_CREATE_RULESET, ruleset, len(ruleset), 0)
    if descriptor < 0:
        return False
    try:
        return _call("syscall", _LANDLOCK_RESTRICT_SELF, descriptor, 0) == 0
    finally:
        os.close(descriptor)


def filter_calls() -> bool:
    """Refuse all system calls but those that decoding needs. False: not to be had."""
    known = _CALLS.get(platform.machine())
    if known is None or sys.maxsize < 2**32:
        return False
    program = _program(known[0], sorted(known[1].values()))
    code = ctypes.create_string_buffer(b"".join(program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    return _call("prctl", _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, header, 0, 0) == 0


def _program(machine: int, allowed: list[int]) -> list[bytes]:
    """The filter as instructions: (operation, jump when true, jump when not, operand)."""
    steps = [
        (_LOAD, 0, 0, 4),  # for which machine is the call?
        (_JUMP_IF_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, 0),  # which call is it?
        (_JUMP_IF_AT_LEAST, len(allowed), 0, _X32),
        *((_JUMP_IF_EQUAL, len(allowed) - place, 0, n) for place, n in enumerate(allowed)),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [struct.pack("=HBBI", *step) for step in steps]


def _cap(kind: int, value: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, highest = resource.getrlimit(kind)
    if highest != resource.RLIM_INFINITY:
        value = min(value, highest)
    resource.setrlimit(kind, (value, value))


def _call(function: str, *arguments: bytes | int | None) -> int:
    """What a function of the C library returns: less than 0 when it failed."""
    library = ctypes.CDLL(None, use_errno=True)
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(getattr(library, function)(*converted))
