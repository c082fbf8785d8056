"""Tells whether a pod of NoETL still has from NATS what it lives from. Exits 0, or 1 with one line of why.

usage: nats_probe.py ready|worker|server [PORT] [--folder FOLDER] [--pid PID] [--start-seconds SECONDS]

ready   a worker's readiness: a connection to NATS, and a consumer that has not gone
worker  a worker's liveness: fails for what a restart fixes, and for nothing else
server  the server's liveness: its API on PORT, and a connection to NATS that was there and is lost

NoETL's NATS client gives up after two minutes without a server; the process then lives on without a connection. A worker makes
stream and consumer at its start alone. So both are fixed by a restart, once NATS is there: nothing is said against a pod while
NATS does not answer, and nothing is missed that this container has not seen, so that no container is restarted again and
again for what nobody can make.

Needs Python's standard library, the environment of the pod, and no other module. Shows no part of NATS_URL but the port.
"""
import json
import os
import socket
import sys
import threading
import time
from urllib.parse import urlsplit

ESTABLISHED = "01"
DEFAULT_PORTS = {"ws": 80, "wss": 443}
# The kubelet waits five seconds.
DEADLINE_SECONDS = 3.0
# For the step that the deadline comes in.
GRACE_SECONDS = 0.5
CONNECT_SECONDS = 1.0
# JetStream's codes for a stream and a consumer that are not there.
MISSING = {10059: "stream", 10014: "consumer"}
NAME = os.path.basename(__file__)


def servers(urls):
    for url in urls.split(","):
        url = url.strip()
        parts = urlsplit(url if "://" in url else "nats://" + url)
        if not parts.hostname:
            raise ValueError("no host")
        yield parts, parts.port or DEFAULT_PORTS.get(parts.scheme, 4222)


def established(ports):
    """Inodes of established connections to one of the ports."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                next(lines)  # the heading
                for line in lines:
                    fields = line.split()
                    if fields[3] == ESTABLISHED and int(fields[2].rpartition(":")[2], 16) in ports:
                        yield fields[9]
        except FileNotFoundError:  # a node without IPv6
            pass


def inodes_of_others():
    """Inodes of the sockets of every process but probes, which have connections of their own."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if int(pid) == os.getpid() or NAME.encode() in file.read():
                    continue
            for descriptor in os.listdir(f"/proc/{pid}/fd"):
                target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
                if target.startswith("socket:["):
                    yield target[8:-1]
        except OSError:  # gone, or another user's
            pass


def started(pid):
    """When the process was started, in ticks since the machine's start, and its age in seconds."""
    with open(f"/proc/{pid}/stat") as file:
        ticks = int(file.read().rpartition(")")[2].split()[19])
    with open("/proc/uptime") as file:
        return ticks, float(file.read().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


class Memory:
    """What this container's process has had; a later process starts without."""

    def __init__(self, folder, ticks):
        self.folder, self.ticks = folder, str(ticks)

    def path(self, what):
        return os.path.join(self.folder, f".noetl-nats-had-{what}")

    def had(self, what):
        try:
            with open(self.path(what)) as file:
                return file.read() == self.ticks
        except OSError:
            return False

    def keep(self, what):
        if self.had(what):
            return
        try:
            # In one step: another probe may read it.
            name = f"{self.path(what)}.{os.getpid()}"
            with open(name, "w") as file:
                file.write(self.ticks)
            os.replace(name, self.path(what))
        except OSError:  # a read-only file system: then nothing is ever missed
            pass


class Nats:
    """A connection of the probe's own."""

    def __init__(self, parts, port, deadline):
        self.deadline = deadline
        self.buffer = b""
        self.socket = socket.create_connection((parts.hostname, port), timeout=CONNECT_SECONDS)
        self.login(parts)

    def close(self):
        self.socket.close()

    def line(self):
        while b"\r\n" not in self.buffer:
            self.more()
        text, _, self.buffer = self.buffer.partition(b"\r\n")
        return text

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def more(self):
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no answer")
        self.socket.settimeout(left)
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed")
        self.buffer += data

    def login(self, parts):
        info = json.loads(self.line().partition(b" ")[2])
        if parts.scheme == "tls" or info.get("tls_required"):
            import ssl

            context = ssl.create_default_context()
            if os.environ.get("NATS_CA_FILE"):
                context.load_verify_locations(cafile=os.environ["NATS_CA_FILE"])
            self.socket = context.wrap_socket(self.socket, server_hostname=parts.hostname)
        options = {"verbose": False, "pedantic": False, "lang": "python", "version": "1", "protocol": 1}
        options.update({"name": "noetl-nats probe", "headers": True, "no_responders": True})
        if parts.password is not None:
            options.update({"user": parts.username, "pass": parts.password})
        elif parts.username:
            options["auth_token"] = parts.username
        self.socket.sendall(b"CONNECT " + json.dumps(options).encode() + b"\r\nPING\r\n")
        while True:
            line = self.line()
            if line == b"PONG":
                return
            if line.startswith(b"-ERR"):
                raise PermissionError("refused")

    def request(self, subject):
        """The answer's JSON; None where nobody answers, or nobody may ask."""
        prefix = os.environ.get("NATS_INBOX_PREFIX") or "_INBOX"
        inbox = f"{prefix}.{os.getpid()}{time.monotonic_ns()}"
        self.socket.sendall(f"SUB {inbox} 1\r\nPUB {subject} {inbox} 0\r\n\r\n".encode())
        while True:
            words = self.line().split()
            kind = words[0].upper() if words else b""
            if kind == b"-ERR":
                return None
            if kind == b"PING":
                self.socket.sendall(b"PONG\r\n")
            if kind in (b"MSG", b"HMSG"):
                payload = self.exactly(int(words[-1]) + 2)[:-2]
                return json.loads(payload) if kind == b"MSG" else None


def say_nothing_after(deadline):
    """Ends the probe without a word against the pod. A resolver whose servers are away takes longer than the kubelet waits, and cannot be
    told to give up."""
    timer = threading.Timer(deadline + GRACE_SECONDS - time.monotonic(), os._exit, [0])
    timer.daemon = True
    try:
        timer.start()
    except RuntimeError:
        pass  # no further thread; the kubelet ends the probe


def ask(urls, subject, deadline):
    """(whether a server let us in, its answer or None). Never raises."""
    say_nothing_after(deadline)
    for parts, port in urls:
        if parts.scheme in DEFAULT_PORTS:  # NATS over WebSocket is not spoken here
            continue
        connection = None
        try:
            connection = Nats(parts, port, deadline)
            return True, connection.request(subject) if subject else None
        except (OSError, ValueError):
            if time.monotonic() > deadline:
                break
        finally:
            if connection:
                connection.close()
    return False, None


def missing(answer):
    """`stream` or `consumer` where JetStream says that it is not there."""
    error = answer.get("error") if isinstance(answer, dict) else None
    return MISSING.get(error.get("err_code")) if isinstance(error, dict) else None


def is_healthy(port):
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", "/api/health")
        return connection.getresponse().status < 400
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def problem(mode, port, memory, age, start_seconds):
    try:
        urls = list(servers(os.environ["NATS_URL"]))
    except (KeyError, ValueError):
        return "NATS_URL is missing or holds no usable port"  # never shown: it carries the password
    if mode == "server" and not is_healthy(port):
        return f"the API does not answer well on port {port}: /api/health"
    # The API has had its own time: the kubelet waits longer for the server.
    deadline = time.monotonic() + DEADLINE_SECONDS
    ports = {each for _, each in urls}
    connections = set(established(ports))
    others = set(inodes_of_others())
    # Where nobody else's sockets may be seen, every connection counts.
    held = bool(connections & others) if others else bool(connections)
    if held:
        memory.keep("connection")
    shown = "NATS port " + ", ".join(map(str, sorted(ports)))
    if mode == "ready" and not held:
        return f"no established connection to {shown}"
    if mode == "server" and (held or not memory.had("connection")):
        return None
    names = [os.environ.get(name) for name in ("NATS_STREAM", "NATS_CONSUMER")]
    subject = "$JS.API.CONSUMER.INFO." + ".".join(names) if all(names) and mode != "server" else None
    reachable, answer = ask(urls, subject, deadline)
    if not reachable:
        return None
    if not held and memory.had("connection"):
        return f"the connection to {shown} is lost, and NATS answers: the client has given up"
    if not held and age > start_seconds:
        return f"no connection to {shown} after {start_seconds:.0f} s, and NATS answers"
    gone = missing(answer)
    if gone:
        return f"the {gone} is gone; a worker makes it at its start" if memory.had("consumer") else None
    if isinstance(answer, dict) and "error" not in answer:
        memory.keep("consumer")
    return None


def main(arguments):
    options = {"--folder": "/tmp", "--pid": "1", "--start-seconds": "300"}
    words = []
    rest = iter(arguments)
    for word in rest:
        if word in options:
            options[word] = next(rest)
        else:
            words.append(word)
    ticks, age = started(options["--pid"])
    memory = Memory(options["--folder"], ticks)
    port = int(words[1]) if len(words) > 1 else 0
    found = problem(words[0], port, memory, age, float(options["--start-seconds"]))
    if found:
        sys.exit(found)


if __name__ == "__main__":
    main(sys.argv[1:])
