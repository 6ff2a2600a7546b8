"""Ways to the host's files and secrets, and to change what outlives the sandbox."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

from team.sandbox import CellResult
from tests.escape.attack import Attack, Host, Local, No, Verdict, attempts, by_fact, by_its_word, got_through, held
from tests.escape.scene import Scene

WALK = """
def walk(top):
    for folder, names, files in os.walk(top):
        names[:] = [name for name in names if os.path.join(folder, name) not in (sys.prefix, sys.base_prefix)]
        for name in files: yield os.path.join(folder, name)
def found(paths):
    hits = []
    for path in paths:
        try:
            with open(path, 'rb') as file: head = file.read(1 << 16)
        except OSError: continue
        if b'canary-' + b'' in head: hits.append(head[:200])
    return hits or fail(errno.ENOENT, 'no canary')
"""
HOME_PLANTS = """
mark = "import os; open(os.environ.get('MLTEAM_WORK', '.') + '/owned', 'a').write(__file__ if '__file__' in dir() else 'x')\\n"
home, work = os.environ['HOME'], os.environ['MLTEAM_WORK']
site = f'.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages'
modules = ('sitecustomize', 'usercustomize', 'random', 'json', 'ipykernel', 'seccomp', 'start', 'evil')
plants = {f'{work}/{name}.py': mark for name in modules}
plants |= {f'{work}/{name}': mark for name in ('evil.pth', 'tools/__init__.py', '.pythonrc')}
plants |= {f'{work}/pyvenv.cfg': f'home = {work}', f'{work}/matplotlibrc': 'backend: evil', f'{work}/.env': 'PYTHONSTARTUP=.pythonrc'}
for base in (home, work):
    plants |= {f'{base}/{site}/evil.pth': mark, f'{base}/{site}/usercustomize.py': mark}
    plants |= {f'{base}/{folder}/profile_default/startup/00.py': mark for folder in ('ipython', '.ipython')}
    plants |= {f'{base}/ipython/profile_default/ipython_kernel_config.py': mark, f'{base}/.pdbrc': mark, f'{base}/.bashrc': 'touch owned'}
def plant(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, 'w').write(text)
for path, text in plants.items(): attempt('plant', lambda: plant(path, text))
inside = os.path.dirname(sys.argv[0]) or '/mlteam/inside'
for path in (inside + '/start.py', sys.prefix + '/lib/evil.pth', '/etc/ld.so.preload', '/usr/lib/evil.so', '/mlteam/code/tools/show.py'):
    if $sandboxed: attempt('PLANTED', lambda: open(path, 'a').write(mark))
print('PLANTS', len(plants))
"""


def secret_stays(scene: Scene, result: CellResult) -> str | None:
    return scene.leaked(result)


def canary_stays(scene: Scene, result: CellResult) -> str | None:
    beside = sorted(path.name for path in scene.outside.iterdir() if path != scene.canary)
    return None if scene.canary_is_whole and not beside else f"the folder outside was changed: {beside or scene.canary.name}"


def data_stays(scene: Scene, result: CellResult) -> str | None:
    found = _digest(scene)
    if found == scene.remembered:
        return None
    _restore(scene)
    return "the data folder was changed"


def nothing_linked(scene: Scene, result: CellResult) -> str | None:
    theirs = {path.stat().st_ino for folder in (scene.run.data, scene.outside) for path in folder.iterdir()}
    linked = [path.name for path in scene.run.work.iterdir() if path.lstat().st_ino in theirs]
    return f"work holds a second name of a file outside: {linked}" if linked else None


def no_device(scene: Scene, result: CellResult) -> str | None:
    import stat

    modes = {path.name: path.lstat().st_mode for path in scene.run.work.iterdir()}
    devices = [name for name, mode in modes.items() if stat.S_ISCHR(mode) or stat.S_ISBLK(mode)]
    return f"work holds devices: {devices}" if devices else None


def no_set_id(scene: Scene, result: CellResult) -> str | None:
    marked = [path.name for path in scene.run.work.iterdir() if path.lstat().st_mode & 0o6000]
    return f"work holds programs that give their owner's rights: {marked}" if marked else None


async def next_kernel_is_clean(scene: Scene, result: CellResult) -> Verdict:
    """By the kernel after this one: nothing that was planted may have run in it."""
    assert "PLANTS" in result.text, result.traceback
    planted = [line for line in result.text.splitlines() if line.startswith("THROUGH PLANTED")]
    if planted:
        return got_through(f"the next kernel's own files were changed: {planted}")
    await scene.kernel.restart()
    after = await scene.kernel.execute(
        "import random, json, numpy, pandas, matplotlib.pyplot, subprocess, sys\n"
        "subprocess.run([sys.executable, '-P', '-c', 'import random, json'], check=True)\nprint('alive', json.dumps(1))"
    )
    ran = scene.run.work / "owned"
    if ran.exists() or "alive 1" not in after.text:
        return got_through(f"planted files ran in the next kernel: {ran.read_text()[:200] if ran.exists() else after.traceback}")
    return held("the home folder is new for each kernel; the work folder comes after the installed packages and runs nothing at the start")


def _plain_python_is_hit(scene: Scene, result: CellResult) -> bool:
    subprocess.run(
        [sys.executable, "-c", "import random"], cwd=scene.run.work, check=False, capture_output=True, env={"PATH": os.environ["PATH"]}
    )
    return (scene.run.work / "owned").exists()


def inherits_nothing(scene: Scene, result: CellResult) -> Verdict:
    """By the descriptors that the kernel has: none may be of a file of the host."""
    through, _ = attempts(result)
    if scene.leaked(result) or through:
        return got_through("; ".join(through) or "the secret came back")
    return held("descriptors are closed before the sandbox starts")


def _inheriting_child_is_hit(scene: Scene, result: CellResult) -> bool:
    with scene.canary.open() as file:
        code = "import os; print([os.read(int(n), 99) for n in os.listdir('/proc/self/fd') if os.path.isfile(f'/proc/self/fd/{n}')])"
        child = subprocess.run([sys.executable, "-c", code], pass_fds=[file.fileno()], capture_output=True, text=True, check=False)
    return scene.secret in child.stdout


def _remember(scene: Scene) -> None:
    scene.remembered = _digest(scene)
    scene.kept = {path.name: path.read_bytes() for path in scene.run.data.iterdir()}


def _restore(scene: Scene) -> None:
    for path in scene.run.data.iterdir():
        path.unlink()
    for name, content in scene.kept.items():
        (scene.run.data / name).write_bytes(content)


def _digest(scene: Scene) -> str:
    facts = [(p.name, p.stat().st_mode, hashlib.sha256(p.read_bytes()).hexdigest()) for p in sorted(scene.run.data.iterdir())]
    return str(facts)


ATTACKS = (
    Attack(
        "environments",
        "Read the environment and arguments of every process, the caller's keys among them.",
        """
def look(name):
    texts = []
    for pid in ['self', '1', str(os.getppid()), *filter(str.isdigit, os.listdir('/proc'))]:
        try: texts.append(open(f'/proc/{pid}/{name}', 'rb').read())
        except OSError: pass
    hits = [text for text in texts if b'canary-' in text]
    return hits or fail(errno.ENOENT, f'{len(texts)} read')
attempt('environ', lambda: look('environ')); attempt('cmdline', lambda: look('cmdline'))
attempt('own', lambda: os.environ['SERVICE_TOKEN'])
""",
        by_fact(secret_stays),
        Local(),
    ),
    Attack(
        "proc-of-others",
        "Read a file of the host through the root, working folder or open files of another process.",
        """
for pid in dict.fromkeys(['1', str(os.getppid()), '$pid', *filter(str.isdigit, os.listdir('/proc'))]):
    if pid == str(os.getpid()): continue
    for way in ('root', 'cwd'): attempt('way', lambda: open(f'/proc/{pid}/{way}/' + $canary).read())
    try: fds = os.listdir(f'/proc/{pid}/fd')
    except OSError as error: print('STOPPED fd', reason(error)); continue
    for fd in fds[:20]:
        if os.path.isfile(f'/proc/{pid}/fd/{fd}'): attempt('fd', lambda: open(f'/proc/{pid}/fd/{fd}').read(99))
""",
        by_fact(secret_stays),
        Local(root=True),
    ),
    Attack(
        "mounted-paths",
        "Find a file of the host through any folder that is mounted, its real path, or `..` from the work folder.",
        WALK
        + """
attempt('path', lambda: open($canary).read())
attempt('up', lambda: open('../../../outside/canary.txt').read())
attempt('link', lambda: (os.symlink($canary, 'link'), open('link').read()))
for top in ('/mlteam', '/tmp', '/home', '/root', '/mnt', '/media', '/srv', '/var', '/etc', '/run', '/host'):
    if $sandboxed: attempt('walk', lambda: found(walk(top)))
attempt('walk', lambda: found(walk($outside)))
""",
        by_fact(secret_stays),
        Local(),
    ),
    Attack(
        "open-by-handle",
        "Open a file of the host by its number on the disk that the work folder is on, without any path.",
        """
handle = ctypes.create_string_buffer($handle, len($handle))
def by_handle():
    fd = libc.open_by_handle_at(os.open('.', os.O_RDONLY), handle, os.O_RDONLY)
    if fd < 0: raise OSError(ctypes.get_errno(), 'open_by_handle_at')
    return os.read(fd, 99)
attempt('open_by_handle_at', by_handle)
""",
        by_fact(secret_stays),
        Local(root=True),
    ),
    Attack(
        "inherited-descriptors",
        "Find a file of the host among the descriptors that the kernel was started with.",
        """
print('FDS', len(os.listdir('/proc/self/fd')))
for fd in os.listdir('/proc/self/fd'):
    where = f'/proc/self/fd/{fd}'
    if os.path.isfile(where) and not os.readlink(where).startswith(('/dev/', os.environ['HOME'], '/memfd')):
        attempt(os.readlink(where), lambda: os.pread(int(fd), 99, 0))
""",
        inherits_nothing,
        Host(_inheriting_child_is_hit),
    ),
    Attack(
        "change-outside",
        "Overwrite, remove and add files outside.",
        """
attempt('write', lambda: open($canary, 'w').write('gone'))
attempt('chmod', lambda: os.chmod($canary, 0o777))
attempt('add', lambda: open($outside + '/new', 'w').close())
attempt('rename', lambda: os.replace($canary, $outside + '/moved'))
""",
        by_fact(canary_stays),
        Local(),
    ),
    Attack(
        "change-system",
        "Change the interpreter, the libraries, the kernel's own program or the system's files.",
        """
for path in (sys.prefix + '/lib/new', os.path.dirname(os.__file__) + '/random.py', '/usr/bin/env', '/etc/passwd',
             '/mlteam/code/tools/show.py', '/mlteam/inside/start.py'):
    attempt('append', lambda: os.close(os.open(path, os.O_WRONLY | os.O_APPEND)))
    attempt('beside', lambda: os.mkdir(os.path.dirname(path) + '/new-folder'))
""",
        by_its_word,
        No("the control would change this machine"),
    ),
    Attack(
        "change-data",
        "Change the training rows or the contract: write, truncate, replace, and through a descriptor opened for reading.",
        """
data = os.environ['MLTEAM_DATA']
path = data + '/train.parquet'
attempt('write', lambda: open(path, 'r+b').write(b'x'))
attempt('truncate', lambda: os.truncate(path, 0))
attempt('replace', lambda: (open('mine', 'w').close(), os.replace('mine', data + '/contract.json')))
attempt('add', lambda: open(data + '/all.parquet', 'w').close())
attempt('chmod', lambda: os.chmod(path, 0o666))
attempt('descriptor', lambda: open(f'/proc/self/fd/{os.open(path, os.O_RDONLY)}', 'r+b').write(b'x'))
attempt('mapped', lambda: __import__('mmap').mmap(os.open(path, os.O_RDONLY), 0))
""",
        by_fact(data_stays),
        Local(),
        before=_remember,
    ),
    Attack(
        "hard-links",
        "Give a file outside the work folder a second name inside it, which the host would take for the sandbox's own.",
        """
for path in (os.environ['MLTEAM_DATA'] + '/train.parquet', $canary, '/etc/passwd' if $sandboxed else $canary):
    attempt('link', lambda: os.link(path, 'oof%d.parquet' % time.monotonic_ns()))
""",
        by_fact(nothing_linked),
        Local(),
    ),
    Attack(
        "devices",
        "Make device nodes: the machine's memory, its disk.",
        """
import stat
for name, kind, major, minor in (('mem', stat.S_IFCHR, 1, 1), ('disk', stat.S_IFBLK, 8, 0), ('null', stat.S_IFCHR, 1, 3)):
    attempt('mknod', lambda: os.mknod(name, kind | 0o666, os.makedev(major, minor)))
""",
        by_fact(no_device),
        Local(root=True),
    ),
    Attack(
        "set-id-program",
        "Leave a program that runs with the rights of its owner, who outside is the caller.",
        """
open('shell', 'w').write('#!/bin/sh\\n')
attempt('set-id', lambda: os.chmod('shell', 0o4755))
attempt('set-id', lambda: os.fchmod(os.open('shell', os.O_RDONLY), 0o2755))
attempt('set-id', lambda: os.open('other', os.O_CREAT | os.O_WRONLY, 0o6755))
attempt('set-id', lambda: os.mknod('third', 0o104755))
""",
        by_fact(no_set_id),
        Local(),
    ),
    Attack(
        "next-kernel",
        "Leave files that the next kernel would load when it starts: modules, .pth files, start-up files of Python and IPython.",
        HOME_PLANTS,
        next_kernel_is_clean,
        Host(_plain_python_is_hit),
    ),
)
