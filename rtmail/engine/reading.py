"""The inside of a reader process: takes batches of mails from its socket, answers with Mails, ends when the socket does.

`reader` starts it. Limits come first, then the libraries, then one empty answer that says "ready". A mail that meets the
memory limit is answered with "memory" and ends the process, since what else failed on the way cannot be known.
"""

from __future__ import annotations

import gc
import io
import logging
import os
import pickle
import resource
import signal
import socket
from enum import Enum
from typing import Any, NoReturn

from rtmail.engine.reader import EXIT_MEMORY, LENGTH
from rtmail.mail.model import Mail
from rtmail.mail.reading.message import read, warm_up
from rtmail.mail.site import Site


def main(limits: dict[str, int]) -> NoReturn:
    """Serve the socket at standard input until it closes."""
    # What libraries say about hostile mail interests nobody, and a core file would hold somebody's mail.
    logging.disable(logging.CRITICAL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warm_up()
    # The libraries stay: the collector need not look at them with each mail.
    gc.freeze()
    # Private data, not address space: the libraries' read-only pages are shared and cost nothing.
    resource.setrlimit(resource.RLIMIT_DATA, (limits["memory_bytes"], limits["memory_bytes"]))
    connection = socket.socket(fileno=os.dup(0))
    try:
        _serve(connection, limits["cpu_seconds"])
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except OSError:
        pass
    os._exit(0)


class _Pickler(pickle.Pickler):
    """Writes members of enums as their values: Python 3.11.2 would write a call of getattr, which the daemon rightly refuses."""

    def reducer_override(self, thing: object) -> Any:
        return (type(thing), (thing.value,)) if isinstance(thing, Enum) else NotImplemented


def pickled(mail: Mail) -> bytes:
    """Return `mail` as the daemon takes it, on whatever Python."""
    out = io.BytesIO()
    _Pickler(out, protocol=pickle.HIGHEST_PROTOCOL).dump(mail)
    return out.getvalue()


def _serve(connection: socket.socket, cpu_seconds: int) -> None:
    site: Site | None = None
    _answer(connection, b"")
    while (header := _exactly(connection, LENGTH.size)) is not None:
        frame = _exactly(connection, LENGTH.unpack(header)[0])
        if frame is None:
            return
        changed, announced = pickle.loads(frame)
        site = changed or site
        assert site is not None, "the first batch brings the site"
        # All of the batch is taken before the first answer: two sides that both write would wait for ever.
        mails = [_exactly(connection, size) for size, _ in announced]
        for number, (_, envelope) in enumerate(announced):
            raw, mails[number] = mails[number], None
            if raw is None:
                return
            _allow(cpu_seconds)
            try:
                answer = pickled(read(raw, envelope, site))
            except MemoryError:
                _answer(connection, pickle.dumps("memory"))
                return
            _answer(connection, answer)
            # Not to be held while waiting for the next batch, which may be as large.
            del raw, answer


def _allow(cpu_seconds: int) -> None:
    """Let the process use `cpu_seconds` more of the processor; the kernel ends it with SIGXCPU after that."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = int(used.ru_utime + used.ru_stime) + 1 + cpu_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _answer(connection: socket.socket, data: bytes) -> None:
    connection.sendall(LENGTH.pack(len(data)) + data)


def _exactly(connection: socket.socket, count: int) -> bytes | None:
    """Return `count` bytes in one piece, None when the daemon is gone."""
    if not count:
        return b""
    # MSG_WAITALL fills one buffer: a mail of 25 MB is held once.
    data = connection.recv(count, socket.MSG_WAITALL)
    while len(data) < count:
        more = connection.recv(count - len(data), socket.MSG_WAITALL)
        if not more:
            return None
        data += more
    return data
