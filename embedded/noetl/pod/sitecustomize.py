"""Gives a Python process of this machine what a pod has: the cluster's names, and a /tmp that nobody shares.

Python imports a module of this name at its start. EMBEDDED_NAMES is a JSON file with in-cluster addresses (`host:port`)
and the ports of 127.0.0.1 behind them, 0 where nothing is ready. Every in-cluster host resolves to a loopback address of
its own, on which nothing listens; what connects to it is led to the port that stands behind it at that moment.
EMBEDDED_TMP is the folder that stands for /tmp.
"""

import builtins
import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import socket
import sys

NAMES = os.environ["EMBEDDED_NAMES"]
TMP = os.environ["EMBEDDED_TMP"]
IN_CLUSTER = (".svc", ".svc.cluster.local")
# A port of 127.0.0.1 on which nothing listens.
REFUSES = 1
open_here = builtins.open


def read_names():
    """The local port by host and port."""
    with open_here(NAMES, encoding="utf-8") as file:
        entries = json.load(file).items()
    return {(host, int(port)): local for (host, _, port), local in ((key.rpartition(":"), value) for key, value in entries)}


def address_of(host):
    """The address that stands for an in-cluster host; not in 127.0.0.0/16, which others use."""
    first, second, third = hashlib.sha256(host.encode()).digest()[:3]
    return f"127.{16 + first % 235}.{second}.{1 + third % 254}"


def resolve(host):
    name = host.decode() if isinstance(host, bytes) else host
    if not isinstance(name, str):
        return host
    if any(name == known for known, _ in read_names()):
        return address_of(name)
    if name.endswith(IN_CLUSTER):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return host


def lead(address):
    """Where a connection to this address and port goes: an in-cluster one to what is ready behind it, or nowhere."""
    if not (isinstance(address, tuple) and str(address[0]).startswith("127.")):
        return address
    ports = {port: local for (host, port), local in read_names().items() if address_of(host) == address[0]}
    return ("127.0.0.1", ports.get(int(address[1])) or REFUSES) if ports else address


def place(path):
    """Where a file directly under /tmp is found here; every other path is itself."""
    if isinstance(path, str) and os.path.dirname(path) == "/tmp":
        return os.path.join(TMP, os.path.basename(path))
    return path


def translated(translate, function):
    """The function with its first argument translated."""

    @functools.wraps(function)
    def call(first, *args, **kwargs):
        return function(translate(first), *args, **kwargs)

    return call


def led(method):
    """A method of a socket whose argument is the address to connect to."""

    @functools.wraps(method)
    def call(self, address):
        return method(self, lead(address))

    return call


def led_attempts(attempts):
    """What psycopg hands to libpq, which connects by itself."""
    for attempt in attempts:
        host, port = lead((attempt.get("hostaddr"), attempt.get("port") or 5432))
        yield {**attempt, "hostaddr": host, "port": port} if host else attempt


class Psycopg(importlib.abc.MetaPathFinder):
    """Lets psycopg's resolvers lead to what is ready: its last step in Python before libpq."""

    MODULES = ("psycopg._conninfo_attempts", "psycopg._conninfo_attempts_async")

    def find_spec(self, name, path=None, target=None):
        if name not in self.MODULES:
            return None
        found = (each.find_spec(name, path, target) for each in sys.meta_path if each is not self)
        spec = next((each for each in found if each), None)
        if spec and spec.loader:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                module._resolve_hostnames = self.wrap(module._resolve_hostnames)

            spec.loader.exec_module = exec_module
        return spec

    @staticmethod
    def wrap(resolver):
        async def later(params):
            return list(led_attempts(await resolver(params)))

        def now(params):
            return list(led_attempts(resolver(params)))

        return functools.wraps(resolver)(later if resolver.__code__.co_flags & 0x80 else now)


socket.getaddrinfo = translated(resolve, socket.getaddrinfo)
socket.gethostbyname = translated(resolve, socket.gethostbyname)
socket.socket.connect = led(socket.socket.connect)
socket.socket.connect_ex = led(socket.socket.connect_ex)
sys.meta_path.insert(0, Psycopg())
builtins.open = translated(place, builtins.open)
os.path.exists = translated(place, os.path.exists)
os.remove = translated(place, os.remove)

# The deployed pod's own module of this name, which this one stands before.
places = [os.path.abspath(each) for each in sys.path]
after = places[places.index(os.path.dirname(os.path.abspath(__file__))) + 1 :]
deployed = importlib.machinery.PathFinder.find_spec("sitecustomize", after)
if deployed and deployed.loader:
    deployed.loader.exec_module(importlib.util.module_from_spec(deployed))
