"""What of the project can be reached on this host: the sockets that listen, and attempts to connect."""
import collections
import fcntl
import glob
import ipaddress
import os
import socket
import struct

LISTEN = "0A"
SIOCGIFADDR = 0x8915
Listener = collections.namedtuple("Listener", "address port inode")


def _address(text):
    raw = bytes.fromhex(text)
    words = [raw[i:i + 4][::-1] for i in range(0, len(raw), 4)]  # each word in the machine's order
    return ipaddress.ip_address(b"".join(words))


def listeners():
    """Every listening TCP socket of this network namespace."""
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as f:
            for line in f.readlines()[1:]:
                fields = line.split()
                if fields[3] == LISTEN:
                    address, port = fields[1].split(":")
                    found.append(Listener(_address(address), int(port, 16), fields[9]))
    return found


def proxies(networks):
    """Inodes of the sockets of the engine's port proxies that lead into these networks."""
    inodes = set()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                words = f.read().split("\0")
            if not words[0].endswith("docker-proxy"):
                continue
            inside = ipaddress.ip_address(words[words.index("-container-ip") + 1])
            if any(inside in network for network in networks):
                for link in glob.glob(os.path.join(os.path.dirname(path), "fd", "*")):
                    target = os.readlink(link)
                    inodes.update([target[8:-1]] if target.startswith("socket:[") else [])
        except (OSError, ValueError):
            continue  # it ended meanwhile
    return inodes


def own_addresses():
    """IPv4 addresses of this host that are not loopback."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(s, SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
            except OSError:
                continue  # it has none
            found.append(ipaddress.ip_address(answer[20:24]))
    return [a for a in found if not a.is_loopback]


def connects(address, port, timeout_s=0.5):
    try:
        with socket.create_connection((str(address), port), timeout_s):
            return True
    except OSError:
        return False


def service_of(c):
    return c["Config"]["Labels"]["com.docker.compose.service"]


def published(inspected):
    """[(service, container port, host address, host port)]."""
    return sorted((service_of(c), inside, ipaddress.ip_address(b["HostIp"]), int(b["HostPort"]))
                  for c in inspected for inside, bindings in (c["NetworkSettings"]["Ports"] or {}).items()
                  for b in bindings or [])


def faults(inspected, networks, documented):
    """documented: {service: host port}, also of services that do not run. Sentences."""
    expected = {documented[s] for s in map(service_of, inspected) if s in documented}
    for service, inside, address, port in published(inspected):
        if documented.get(service) != port:
            yield f"{service} publishes {inside} as {port}, which nobody documented"
        if not address.is_loopback:
            yield f"{service} publishes {inside} on {address}"
    inodes = proxies(networks)
    for listener in listeners():
        if listener.inode in inodes:
            if not listener.address.is_loopback:
                yield f"port {listener.port} listens on {listener.address}"
            if listener.port not in expected:
                yield f"port {listener.port} listens, and nobody documented it"
    for port in expected:
        if not connects("127.0.0.1", port):
            yield f"port {port} is documented and does not answer"
        yield from (f"port {port} answers on {address}" for address in own_addresses() if connects(address, port))
