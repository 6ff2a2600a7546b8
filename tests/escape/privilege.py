"""Ways to more rights: set-user programs, capabilities, namespaces, other processes, and what the system's kernel does for root."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
from pathlib import Path

from team.sandbox import CellResult
from tests.escape.attack import NUMBERS, Attack, Host, Local, No, Verdict, by_fact, by_its_word, got_through, held
from tests.escape.scene import Scene

SET_USER = ("su", "passwd", "chsh", "newgrp", "mount", "sudo")
REWRITE = """
# Where process 1 waits in a system call, put code that makes a socket to the hypervisor and ends with what came of it.
code = (b"\\xbf\\x28\\0\\0\\0\\xbe\\x01\\0\\0\\0\\x31\\xd2\\xb8\\x29\\0\\0\\0\\x0f\\x05"  # socket(AF_VSOCK, SOCK_STREAM, 0)
        b"\\x89\\xc7\\xf7\\xdf\\xb8\\xe7\\0\\0\\0\\x0f\\x05")                              # exit_group(minus what came of it)
def rewrite():
    where = int(open('/proc/1/syscall').read().split()[-1], 16)
    with open('/proc/1/mem', 'r+b', buffering=0) as memory:
        memory.seek(where); memory.write(code)
if $sandboxed and attempt('rewrite', rewrite) is None:
    if os.fork() == 0:
        if os.fork() == 0: time.sleep(0.2)  # whose end process 1 is told
        os._exit(0)
    time.sleep(3)
"""


def process_one_is_no_help(scene: Scene, result: CellResult) -> Verdict:
    """By how the sandbox ended: process 1 ends with the errno when the socket was refused."""
    if "STOPPED rewrite" in result.text:
        return held(f"{result.text.split('STOPPED rewrite ')[1].split()[0]}: the memory of process 1 cannot be opened")
    if result.cause == f"exit code {errno.EAFNOSUPPORT}":
        return held("EAFNOSUPPORT: process 1 was made to ask for a socket, and the filter holds for it too")
    return got_through(f"process 1 made a socket ({result.status}: {result.cause})")


def bystander_lives(scene: Scene, result: CellResult) -> str | None:
    memory = scene.bystander.memory()
    if memory == scene.secret:
        return scene.leaked(result)
    scene.replace_bystander()
    return "the process outside was ended" if memory is None else f"its memory was changed to {memory!r}"


def _set_user_works(scene: Scene, result: CellResult) -> bool:
    """A set-user program, started by somebody who is not root, runs as root."""
    program = next(path for name in SET_USER if (path := shutil.which(name)) and Path(path).stat().st_mode & 0o4000)
    who = 65534 if os.geteuid() == 0 else None
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, user=who) as child:
        status = Path(f"/proc/{child.pid}/status").read_text()
        child.kill()
    return status.split("Uid:")[1].split()[1] == "0"


def _no_io_uring() -> str | None:
    try:
        disabled = Path("/proc/sys/kernel/io_uring_disabled").read_text().strip()
    except FileNotFoundError:
        return None
    return f"this machine has it switched off (io_uring_disabled={disabled})" if disabled != "0" else None


def _no_user_namespaces() -> str | None:
    path = Path("/proc/sys/kernel/unprivileged_userns_clone")
    return "this machine forbids user namespaces" if os.geteuid() and path.exists() and path.read_text().strip() == "0" else None


def _no_devices() -> str | None:
    return None if any(Path(path).exists() for path in DEVICES) else "this machine has none of these devices"


def _no_control_groups() -> str | None:
    return None if any(Path("/sys/fs/cgroup").glob("**/cgroup.procs")) else "no control group is mounted on this machine"


def _no_modules() -> str | None:
    return None if Path("/proc/modules").exists() else "this machine's kernel loads no modules"


def _add_key(scene: Scene) -> None:
    """Put the secret into the session keyring of this process, which its children inherit."""
    ctypes.CDLL(None).syscall(NUMBERS["add_key"], b"user", b"mlteam-escape", scene.secret.encode(), len(scene.secret), -3)


DEVICES = (
    "/dev/mem",
    "/dev/kmem",
    "/dev/kmsg",
    "/dev/port",
    "/dev/kvm",
    "/dev/fuse",
    "/dev/net/tun",
    "/dev/vda",
    "/dev/sda",
    "/dev/loop-control",
)

ATTACKS = (
    Attack(
        "set-user-programs",
        "Run the system's set-user-root programs.",
        f"""
programs = [path for name in {SET_USER!r} for path in ('/bin/' + name, '/usr/bin/' + name) if os.path.exists(path)]
def effective(program):
    child = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        users = next(line.split()[1:] for line in open(f'/proc/{{child.pid}}/status') if line.startswith('Uid:'))
    finally: child.kill(); child.wait()
    if len(set(users)) == 1: raise PermissionError(errno.EPERM, 'runs as its caller')
    return users
for program in programs: attempt('set-user', lambda: effective(program))
if not programs: print('STOPPED set-user ENOENT')
""",
        by_its_word,
        Host(_set_user_works),
    ),
    Attack(
        "capabilities",
        "Use the rights of root: become user 0, change owners, the root folder, the host's name, the clock, priorities.",
        """
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
for name in ('CapPrm', 'CapEff', 'CapBnd', 'CapAmb'):
    attempt(name, lambda: status[name].strip() if int(status[name], 16) else fail(errno.EPERM, 'none'))
open('mine', 'w').close()
attempt('chown', lambda: os.chown('mine', 12345, 12345))
attempt('setuid', lambda: child(lambda: os.setresuid(0, 0, 0) if os.getuid() else os.setresuid(12345, 0, 12345)))
attempt('setgroups', lambda: child(lambda: os.setgroups([0])))
attempt('chroot', lambda: child(lambda: call('chroot', b'.')))
attempt('hostname', lambda: child(lambda: socket.sethostname(socket.gethostname())))
attempt('nice', lambda: child(lambda: os.nice(-5)))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "unshare",
        "Make namespaces of one's own, in which one is root: the way to most bugs of the system's kernel.",
        """
for name, flag in (('user', 0x10000000), ('net', 0x40000000), ('mount', 0x20000), ('pid', 0x20000000), ('user+net', 0x50000000)):
    attempt('unshare', lambda: child(lambda: call('unshare', flag)))
attempt('unshare', lambda: subprocess.run(['unshare', '-Ur', 'true'], check=True, capture_output=True) and 'done')
""",
        by_its_word,
        Local(missing=_no_user_namespaces),
    ),
    Attack(
        "clone",
        "The same by clone and clone3.",
        """
# Without giving up the interpreter's lock for the call: the child has nobody who would give it back.
libc = ctypes.PyDLL(None, use_errno=True)
def clone(flags):
    pid = call('clone', ctypes.c_ulong(flags | 17), None, None, None, None)
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
def clone3(flags):
    pid = call('clone3', struct.pack('=11Q', flags, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)
    if pid == 0: os._exit(0)
    os.waitpid(pid, 0)
for flags in (0x10000000, 0x10000000 | 0x40000000 | 0x20000):
    attempt('clone', lambda: clone(flags)); attempt('clone3', lambda: clone3(flags))
""",
        by_its_word,
        Local(missing=_no_user_namespaces),
    ),
    Attack(
        "setns",
        "Enter the namespaces of another process.",
        """
def enter(pid, name):
    with open(f'/proc/{pid}/ns/{name}') as file: call('setns', file.fileno(), 0)
for pid in (1, os.getppid(), $pid, os.getpid()):
    for name in ('net', 'mnt', 'user', 'pid'): attempt('setns', lambda: child(lambda: enter(pid, name)))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "ptrace",
        "Take over another process as a debugger does: process 1, the parent, one of the caller's.",
        """
def seize(pid):
    call('ptrace', 0x4206, pid, None, None)
for pid in ($pid, os.getppid(), 1) if $sandboxed else ($pid,): attempt('ptrace', lambda: child(lambda: seize(pid)))
""",
        by_its_word,
        Local(),
    ),
    Attack(
        "memory-of-others",
        "Read and overwrite the memory of a process of the caller, by /proc and by process_vm_readv and process_vm_writev.",
        """
def by_proc(write):
    with open('/proc/$pid/mem', 'r+b', buffering=0) as memory:
        memory.seek($address)
        return memory.write(b'owned' + bytes(1)) if write else memory.read(40)
def by_call(name):
    mine = ctypes.create_string_buffer(b'owned', 40)
    vector = lambda address: struct.pack('=2Q', address, 40 if name.endswith('readv') else 6)
    call(name, $pid, vector(ctypes.addressof(mine)), 1, vector($address), 1, 0)
    return mine.raw
attempt('mem', lambda: by_proc(False)); attempt('process_vm_readv', lambda: by_call('process_vm_readv'))
attempt('mem', lambda: by_proc(True)); attempt('process_vm_writev', lambda: by_call('process_vm_writev'))
""",
        by_fact(bystander_lives),
        Local(),
    ),
    Attack(
        "process-one",
        "Have process 1 of the sandbox, which no filter of one's own holds for, do what is refused.",
        REWRITE,
        process_one_is_no_help,
        No("the control would overwrite process 1 of this machine"),
        machine="x86_64",
    ),
    Attack(
        "signals",
        "End processes of the caller.",
        "attempt('kill', lambda: os.kill($pid, 9)); attempt('killpg', lambda: os.killpg(os.getpgid($pid), 0)); time.sleep(0.1)",
        by_fact(bystander_lives),
        Local(),
    ),
    Attack(
        "keyrings",
        "Read the keys of the caller's session, which a process inherits.",
        """
def read(ring):
    key = call('keyctl', 10, ring, b'user', b'mlteam-escape', 0)
    held = ctypes.create_string_buffer(99)
    call('keyctl', 11, key, held, 99)
    return held.value
for ring in (-3, -4, -5): attempt('keyctl', lambda: read(ring))
attempt('request_key', lambda: call('request_key', b'user', b'mlteam-escape', None, 0))
attempt('add_key', lambda: call('add_key', b'user', b'mine', b'x', 1, -3))
""",
        by_its_word,
        Local(),
        before=_add_key,
    ),
    Attack(
        "kernel-programs",
        "Have the system's kernel run programs: bpf, perf events, io_uring, userfaultfd.",
        """
attr = ctypes.create_string_buffer(struct.pack('=4I', 2, 4, 8, 1), 128)
attempt('bpf', lambda: call('bpf', 0, attr, 128))
event = ctypes.create_string_buffer(struct.pack('=2IQ', 1, 128, 0) + bytes(112))
attempt('perf_event_open', lambda: call('perf_event_open', event, 0, -1, -1, 0))
attempt('io_uring_setup', lambda: call('io_uring_setup', 4, ctypes.create_string_buffer(120)))
attempt('userfaultfd', lambda: call('userfaultfd', 1))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "io-uring",
        "Queue calls past the filter: io_uring makes them where no filter looks.",
        "attempt('io_uring_setup', lambda: call('io_uring_setup', 4, ctypes.create_string_buffer(120)))",
        by_its_word,
        Local(missing=_no_io_uring),
    ),
    Attack(
        "mounts",
        "Mount a file system, or take away what is mounted over something, by the old calls and the new ones.",
        """
os.makedirs('mounted', exist_ok=True)
def old():
    call('mount', b'none', b'mounted', b'tmpfs', 0, None)
    call('umount2', b'mounted', 0)
attempt('mount', old)
if $sandboxed:
    for path in (b'/proc/sys', b'/mlteam/data', b'/usr', b'/dev/null'): attempt('umount2', lambda: call('umount2', path, 2))
    attempt('mount', lambda: call('mount', b'none', b'/mlteam/data', None, 32, None))
    attempt('move_mount', lambda: call('move_mount', -100, b'/mlteam/data', -100, b'mounted', 0))
attempt('fsopen', lambda: call('fsopen', b'tmpfs', 0))
attempt('open_tree', lambda: call('open_tree', -100, b'/', 1))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "system-settings",
        "Change settings of the machine: the program that takes core dumps, address randomisation, the emergency key.",
        """
for path in ('/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/overcommit_memory',
             '/proc/sys/net/ipv4/ip_forward', '/proc/sys/kernel/randomize_va_space', '/proc/sysrq-trigger',
             '/sys/kernel/uevent_helper', '/sys/kernel/mm/transparent_hugepage/enabled'):
    attempt('open', lambda: os.close(os.open(path, os.O_WRONLY)))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "release-agent",
        "Have a control group start a program of the host when it is empty, or leave the control group.",
        """
paths = [*pathlib.Path('/sys/fs/cgroup').glob('**/release_agent'), *pathlib.Path('/sys/fs/cgroup').glob('**/cgroup.procs')][:200]
attempt('cgroup', lambda: len([os.close(os.open(path, os.O_WRONLY)) for path in paths]) or fail(errno.ENOENT, 'none'))
if $sandboxed:
    attempt('mount', lambda: call('mount', b'none', b'/tmp', b'cgroup', 0, b'memory'))
    attempt('mount', lambda: call('mount', b'none', b'/tmp', b'cgroup2', 0, None))
""",
        by_its_word,
        Local(root=True, missing=_no_control_groups),
    ),
    Attack(
        "machine-memory",
        "Read the memory of the machine, its log and where its code lies.",
        """
for path in ('/proc/kcore', '/proc/kmsg', '/proc/slabinfo', '/proc/vmallocinfo', '/proc/timer_list'):
    attempt('read', lambda: open(path, 'rb').read(16) or fail(errno.ENOENT, 'nothing in it'))
attempt('syslog', lambda: call('syslog', 10, None, 0))
def addresses():
    known = [line for line in open('/proc/kallsyms') if int(line.split()[0], 16)]
    return known[:1] or fail(errno.EPERM, 'all of them are zero')
attempt('kallsyms', addresses)
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "machine-devices",
        "Open the machine's devices: memory, disks, virtual machines, tunnels.",
        f"for path in {DEVICES!r}: attempt('open', lambda: os.close(os.open(path, os.O_RDWR)))",
        by_its_word,
        Local(root=True, missing=_no_devices),
    ),
    Attack(
        "kernel-modules",
        "Load a module into the system's kernel, or another kernel.",
        """
def reaches_the_loader(name, *arguments):
    try: call(name, *arguments)
    except OSError as error:
        if error.errno == errno.ENOEXEC: return 'the loader looked at it'
        raise
open('module.ko', 'wb').write(b'no module' * 100)
attempt('init_module', lambda: reaches_the_loader('init_module', b'no module' * 100, 900, b''))
attempt('finit_module', lambda: reaches_the_loader('finit_module', os.open('module.ko', os.O_RDONLY), b'', 0))
if $sandboxed: attempt('kexec_load', lambda: call('kexec_load', 0, 0, None, 0))
""",
        by_its_word,
        Local(root=True, missing=_no_modules),
    ),
    Attack(
        "personality",
        "Switch off the protections of programs that are started later, randomised addresses among them.",
        """
def change(value): libc.personality.restype = ctypes.c_int; call('personality', value)
attempt('personality', lambda: child(lambda: change(0x0040000))); attempt('personality', lambda: child(lambda: change(0x0400008)))
""",
        by_its_word,
        Local(),
    ),
    Attack(
        "terminal-input",
        "Type a command into the terminal that the caller sits at.",
        """
import fcntl, pty, termios
attempt('terminal', lambda: os.open('/dev/tty', os.O_RDWR))
controller, terminal = pty.openpty()
attempt('ioctl', lambda: fcntl.ioctl(terminal, termios.TIOCSTI, b'x'))
attempt('ioctl', lambda: fcntl.ioctl(terminal, 0x541C, b'\\x03'))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "old-interface",
        "Make a refused call through the 32-bit interface, whose numbers are others.",
        """
import mmap
# unshare(CLONE_NEWUSER) is call 310 of i386; in a child, so that nothing else changes.
page = mmap.mmap(-1, 4096, prot=7)
page.write(b"\\x53\\xb8\\x36\\x01\\0\\0\\xbb\\0\\0\\0\\x10\\xcd\\x80\\x5b\\xc3")
function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
def run():
    found = function()
    if found < 0: raise OSError(-found, 'int 0x80')
attempt('unshare', lambda: child(run))
def x32():
    if libc.syscall(0x40000000 + 272, 0x10000000) < 0: raise OSError(ctypes.get_errno(), 'x32')
attempt('unshare', lambda: child(x32))
""",
        by_its_word,
        Local(missing=_no_user_namespaces),
        machine="x86_64",
    ),
)
