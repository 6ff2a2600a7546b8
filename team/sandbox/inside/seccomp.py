"""The filter that keeps the code of a sandbox from system calls that no work with data needs.

    runpy.run_path("seccomp.py")["install"]()      (standard library alone)

Namespaces decide what a process can reach, this decides what it can ask the kernel for: the calls behind most ways out of
a sandbox (programs inside the kernel, new namespaces, other processes' memory, sockets that no network namespace covers),
those that hold memory which no process of the sandbox shows, so that its limit would not see it, and those that would leave
a file outside that runs with its owner's rights.

The filter is a program of classic BPF, assembled here: a list of instructions, whose jumps name labels further down.
A refused call returns an error to its caller; nothing is killed. The numbers are those of the two architectures below;
for another there is no program. It holds for all threads and for whatever they start, and nothing takes it off again.

On kernels before 5.16, a filter that bwrap loads also switches a processor's speculation of stores off, which costs
numeric code some speed; `install` asks for this not to be done.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_REFUSED = """
    bpf 321 280  perf_event_open 298 241  userfaultfd 323 282  io_uring_setup 425 425  io_uring_enter 426 426  io_uring_register 427 427
    ptrace 101 117  process_vm_readv 310 270  process_vm_writev 311 271  pidfd_getfd 438 438  kcmp 312 272
    unshare 272 97  setns 308 268  mount 165 40  umount2 166 39  pivot_root 155 41  chroot 161 51  open_tree 428 428  move_mount 429 429
    fsopen 430 430  fsconfig 431 431  fsmount 432 432  fspick 433 433  mount_setattr 442 442  open_tree_attr 467 467
    open_by_handle_at 304 265  fanotify_init 300 262  quotactl 179 60  quotactl_fd 443 443  swapon 167 224  swapoff 168 225  acct 163 89
    add_key 248 217  request_key 249 218  keyctl 250 219  syslog 103 116  lookup_dcookie 212 18  vmsplice 278 75
    kexec_load 246 104  kexec_file_load 320 294  init_module 175 105  finit_module 313 273  delete_module 176 106  reboot 169 142
    settimeofday 164 170  clock_settime 227 112  adjtimex 159 171  clock_adjtime 305 266
    sched_setaffinity 203 122  iopl 172 -  ioperm 173 -  modify_ldt 154 -
"""
"""Calls that fail with EPERM: name, number on x86_64, number on aarch64."""
_ABSENT = """
    clone3 435 435  openat2 437 437
    memfd_create 319 279  memfd_secret 447 447  shmget 29 194  msgget 68 186
"""
"""Calls that fail with ENOSYS, as on a kernel without them, because libraries then do the same in another way: what the first
two are to do lies in memory, where no filter sees it; the others hold memory that belongs to no process while nobody maps it."""
_CHECKED = """
    socket 41 198  socketpair 53 199  setsockopt 54 208  clone 56 220  personality 135 92  ioctl 16 29
    open 2 -  creat 85 -  openat 257 56  chmod 90 -  fchmod 91 52  fchmodat 268 53  fchmodat2 452 452  mknod 133 -  mknodat 259 33
"""
"""Calls that are allowed or not by an argument."""
_BY_ARGUMENT = """
    socket family  socketpair family  setsockopt option  clone flags  personality persona  ioctl request
    open create-1  openat create-2  creat mode-1  chmod mode-1  fchmod mode-1  fchmodat mode-2  fchmodat2 mode-2
    mknod mode-1  mknodat mode-2
"""
"""The part of the program that looks at each of them. A number is the place of the argument."""

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0
_CLONE_NEW = 0x7E020000
"""The flags of clone that make a namespace."""
_TIOCSTI, _TIOCLINUX, _TIOCSETD = 0x5412, 0x541C, 0x5423
"""Requests of ioctl that type into a terminal or load a line discipline."""
_SOL_SOCKET = 1
_BUFFER_SIZES = (7, 8, 32, 33)
"""Options that let the kernel hold more memory for a socket. Setting one succeeds without effect: it is a wish in any case."""
_CREATES = 0o100 | 0o20000000
"""The flags of open that make a file, and so give its mode a meaning: O_CREAT and the bit of O_TMPFILE."""
_SET_ID = 0o6000
"""The bits of a mode that give a program its owner's rights. The work folder outlives the sandbox, and its owner is the caller."""
_X32 = 0x40000000
"""Numbers from here on are calls of x86_64's second interface."""

_MACHINES = {"x86_64": (0xC000003E, 1, 317), "aarch64": (0xC00000B7, 2, 277)}
"""What the kernel calls the architecture, its column in the tables, and its number of `seccomp`."""

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
"""Places in the data of a call; arguments follow at 16, eight bytes each, of which the kernel uses the lower four here."""
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_PR_SET_NO_NEW_PRIVS, _SECCOMP_SET_MODE_FILTER, _ALL_THREADS, _KEEP_SPECULATION = 38, 1, 1, 4


def numbers(table: str, machine: str) -> dict[str, int]:
    """The calls of one of the tables above that `machine` has, by name."""
    words = table.split()
    column = _MACHINES[machine][1]
    return {words[i]: int(words[i + column]) for i in range(0, len(words), 3) if words[i + column] != "-"}


def program(machine: str) -> bytes | None:
    """The filter for an architecture as `uname -m` names it, as the kernel takes it; None for one that has no table."""
    if machine not in _MACHINES:
        return None
    checked = numbers(_CHECKED, machine)
    words = _BY_ARGUMENT.split()
    return _assembled(
        [
            (_LOAD, _ARCHITECTURE),
            (_EQUAL, _MACHINES[machine][0], "", "refuse"),
            (_LOAD, _NUMBER),
            *([(_AT_LEAST, _X32, "refuse", "")] if machine == "x86_64" else []),
            *((_EQUAL, number, "refuse", "") for number in numbers(_REFUSED, machine).values()),
            *((_EQUAL, number, "missing", "") for number in numbers(_ABSENT, machine).values()),
            *((_EQUAL, checked[name], part, "") for name, part in zip(words[::2], words[1::2], strict=True) if name in checked),
            (_RETURN, _ALLOW),
            "family",
            (_LOAD, _argument(0)),
            *((_EQUAL, family, "allow", "") for family in (_AF_UNIX, _AF_INET, _AF_INET6)),
            (_EQUAL, _AF_NETLINK, "", "no family"),
            (_LOAD, _argument(2)),
            (_EQUAL, _NETLINK_ROUTE, "allow", "no family"),
            "option",
            (_LOAD, _argument(1)),
            (_EQUAL, _SOL_SOCKET, "", "allow"),
            (_LOAD, _argument(2)),
            *((_EQUAL, option, "pretend", "") for option in _BUFFER_SIZES),
            (_RETURN, _ALLOW),
            "flags",
            (_LOAD, _argument(0)),
            (_ANY_BIT, _CLONE_NEW, "refuse", "allow"),
            "persona",
            (_LOAD, _argument(0)),
            (_EQUAL, 0, "allow", ""),
            (_EQUAL, 0xFFFFFFFF, "allow", "refuse"),
            "request",
            (_LOAD, _argument(1)),
            *((_EQUAL, request, "refuse", "") for request in (_TIOCSTI, _TIOCLINUX, _TIOCSETD)),
            (_RETURN, _ALLOW),
            "create-1",
            (_LOAD, _argument(1)),
            (_ANY_BIT, _CREATES, "mode-2", "allow"),
            "create-2",
            (_LOAD, _argument(2)),
            (_ANY_BIT, _CREATES, "", "allow"),
            (_LOAD, _argument(3)),
            (_ANY_BIT, _SET_ID, "refuse", "allow"),
            "mode-1",
            (_LOAD, _argument(1)),
            (_ANY_BIT, _SET_ID, "refuse", "allow"),
            "mode-2",
            (_LOAD, _argument(2)),
            (_ANY_BIT, _SET_ID, "refuse", "allow"),
            "allow",
            (_RETURN, _ALLOW),
            "pretend",
            (_RETURN, _FAIL),
            "refuse",
            (_RETURN, _FAIL | errno.EPERM),
            "missing",
            (_RETURN, _FAIL | errno.ENOSYS),
            "no family",
            (_RETURN, _FAIL | errno.EAFNOSUPPORT),
        ]
    )


def install() -> None:
    """Load the filter into this process. On an architecture without a table, say so on standard error and go on.

    Raises:
        OSError: when the kernel does not take it.
    """
    machine = os.uname().machine
    code = program(machine)
    if code is None:
        print(f"no filter of system calls: there is no table for {machine}", file=sys.stderr)
        return

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))

    libc = ctypes.CDLL(None, use_errno=True)
    filter_ = Program(len(code) // 8, code)
    number, flags = _MACHINES[machine][2], _ALL_THREADS | _KEEP_SPECULATION
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(number, _SECCOMP_SET_MODE_FILTER, flags, ctypes.byref(filter_)):
        raise OSError(ctypes.get_errno(), "the kernel does not take the filter of system calls")


def _argument(place: int) -> int:
    return 16 + 8 * place


def _assembled(lines: list[str | tuple[int, int] | tuple[int, int, str, str]]) -> bytes:
    """Instructions as bytes. A text is the label of the next instruction; a jump goes to a label, "" to the next one."""
    places: dict[str, int] = {}
    instructions: list[tuple[int, int] | tuple[int, int, str, str]] = []
    for line in lines:
        if isinstance(line, str):
            places[line] = len(instructions)
        else:
            instructions.append(line)
    code = b""
    for here, (operation, operand, *labels) in enumerate(instructions, 1):
        yes, no = (places[label] - here if label else 0 for label in labels or ("", ""))
        code += struct.pack("=HBBI", operation, yes, no, operand)
    return code
