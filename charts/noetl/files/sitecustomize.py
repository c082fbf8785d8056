"""Keeps credentials out of what a Python process prints, logs and writes about itself, and has its NATS client trust a CA.

Python imports a module of this name at its start. NoETL writes NATS_URL with its password into its log, and a worker writes
it into /tmp/worker_config.txt; here every credential of the environment becomes *** on the way out. NoETL's own logins at
NATS get their answers below NATS_INBOX_PREFIX, where that is set. Its NATS client notices soon that a server is gone without
a word; and it, which takes no CA from NoETL's settings, trusts those of the file NATS_CA_FILE beside the image's; nobody else
in the process does. Whatever goes wrong here costs one line on stderr, never the start.
"""

import builtins
import functools
import importlib.machinery
import io
import json
import os
import re
import sys
import urllib.parse

MASK = "***"
# Names of variables that hold a credential as a whole.
NAME = re.compile(r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|_KEY)$")
# User and password of a URL; NoETL's clients take them undecoded.
LOGIN = re.compile(r"://([^\s/@:]*):([^\s/@]+)@")
# A shorter text, or one that is also a name, is hidden only where it stands in a URL.
SHORTEST = 6
# What NoETL writes about itself besides its log.
WRITTEN = re.compile(r"/worker_config\.txt$|\.log$")


def credentials(environment):
    """Texts to be hidden wherever they stand."""
    found, names = set(), set()
    for name, value in environment.items():
        if NAME.search(name):
            found.add(value)
        for user, password in LOGIN.findall(value):
            names.add(user)
            found.add(password)
        if name.endswith("USER"):
            names.add(value)
    return {text for text in found if len(text) >= SHORTEST and text not in names and text.strip() == text}


def spellings(text):
    """How a text may stand in a log: as it is, as JSON and in a URL."""
    return {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], urllib.parse.quote(text, safe="")}


def masker(environment):
    """A function that hides them in bytes."""
    texts = {each.encode() for text in credentials(environment) for each in spellings(text)}
    known = re.compile(b"|".join(re.escape(each) for each in sorted(texts, key=len, reverse=True)) or b"(?!)")
    login = re.compile(rb"(://[^\s/@:]*:)[^\s/@]+(?=@)")
    star = MASK.encode()
    return lambda line: known.sub(star, login.sub(rb"\1" + star, line))


class Masked(io.BufferedIOBase):
    """A stream of bytes that are masked line by line: a credential is never in two pieces."""

    def __init__(self, stream, mask):
        # The stream itself is kept: with its last reference it would close what it writes to.
        self._stream, self._inner, self._mask, self._rest = stream, stream.buffer, mask, b""

    def writable(self):
        return True

    def write(self, data):
        text = self._rest + bytes(data)
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        if end:
            self._inner.write(self._mask(text[:end]))
        return len(data)

    def flush(self):
        rest, self._rest = self._rest, b""
        if rest:
            self._inner.write(self._mask(rest))
        self._inner.flush()

    def close(self):
        if not self.closed:
            try:
                self.flush()
            finally:
                super().close()

    def fileno(self):
        return self._inner.fileno()

    def isatty(self):
        return self._inner.isatty()


def masked(stream, mask):
    """A stream of text in the place of sys.stdout or sys.stderr."""
    return io.TextIOWrapper(
        Masked(stream, mask),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=True,
        write_through=False,
    )


def masked_open(plain, mask):
    """open(), with what NoETL writes about itself masked."""

    def opened(file, mode="r", *args, **kwargs):
        if not (isinstance(file, (str, os.PathLike)) and isinstance(mode, str) and set(mode) & set("wax")):
            return plain(file, mode, *args, **kwargs)
        if "b" in mode or "+" in mode or not WRITTEN.search(os.fspath(file) if not isinstance(file, str) else file):
            return plain(file, mode, *args, **kwargs)
        stream = plain(file, mode, *args, **kwargs)
        return io.TextIOWrapper(Closing(stream, mask), encoding=stream.encoding, errors=stream.errors, line_buffering=True)

    return opened


class Closing(Masked):
    """The same for a file, which is closed with it."""

    def close(self):
        if not self.closed:
            super().close()
            self._stream.close()


def install():
    mask = masker(os.environ)
    sys.stdout, sys.stderr = masked(sys.stdout, mask), masked(sys.stderr, mask)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
    builtins.open = masked_open(builtins.open, mask)


# A server that is gone with its node closes no connection. nats-py asks for a sign of life each two minutes and gives up at the third
# that is due, so that NoETL could publish nothing for six; so it takes 30 seconds.
PING_SECONDS = 10


class Connections:
    """Gives connections of nats-py what NoETL has no setting for: when a server counts as gone, and below which prefix answers are
    heard, since a user of its own may hear no others.

    The module is changed when it is loaded, which most processes never do. Who logs in as somebody else, as a playbook with a
    credential may, hears its answers as ever.
    """

    MODULE = "nats.aio.client"

    def __init__(self, environment):
        logins = (LOGIN.findall(environment.get(name, "")) for name in ("NATS_URL", "NOETL_EVENT_NATS_URL"))
        self._prefix, self._users = environment.get("NATS_INBOX_PREFIX"), {user for found in logins for user, _ in found}

    def find_spec(self, name, path=None, target=None):
        if name != self.MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None:
            return None
        load = spec.loader.exec_module

        def loaded(module):
            load(module)
            module.Client.connect = self.completed(module.Client.connect)

        spec.loader.exec_module = loaded
        return spec

    def is_own(self, servers, user):
        texts = [servers] if isinstance(servers, str) else servers
        users = {found for text in texts for found, _ in LOGIN.findall(str(text))}
        return bool(({user} if user else users) & self._users)

    def completed(self, connect):
        @functools.wraps(connect)
        def connected(client, servers=(), *args, **options):
            options.setdefault("ping_interval", PING_SECONDS)
            if self._prefix and self.is_own(servers, options.get("user")):
                options.setdefault("inbox_prefix", self._prefix)
            return connect(client, *([servers] if servers else []), *args, **options)

        return connected


def trusting(plain, file):
    """ssl.create_default_context(), which for a caller in nats-py trusts a file of authorities, too."""

    def create_default_context(*args, **kwargs):
        context = plain(*args, **kwargs)
        if sys._getframe(1).f_globals.get("__name__", "").split(".")[0] == "nats":
            context.load_verify_locations(cafile=file)
        return context

    return create_default_context


def trust(environment):
    file = environment.get("NATS_CA_FILE")
    if file:
        import ssl

        ssl.create_default_context = trusting(ssl.create_default_context, file)


def chain():
    """The image's own module of this name, which this one stands before."""
    places = [os.path.abspath(place) for place in sys.path]
    here = os.path.dirname(os.path.abspath(__file__))
    after = places[places.index(here) + 1 :] if here in places else []
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", after)
    if spec and spec.loader:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


try:
    import importlib.util

    chain()
    install()
except Exception as error:  # pylint: disable=broad-except
    print(f"credentials are not kept out of this log: {type(error).__name__}", file=sys.stderr)
try:
    trust(os.environ)
except Exception as error:  # pylint: disable=broad-except
    print(f"the authorities of NATS_CA_FILE are not trusted: {type(error).__name__}", file=sys.stderr)

sys.meta_path.insert(0, Connections(os.environ))
