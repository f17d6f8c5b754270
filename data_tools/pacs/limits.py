"""How much an archive may answer, and how long it may take: whoever sits there may be broken, or hostile."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ctresample.errors import ArchiveError

MAX_STUDIES = 1000
"""More matches than anyone looks through; the search was too wide."""
MAX_SERIES = 10_000
"""Of all studies that match."""
MAX_IMAGES = 100_000
"""Of one series."""
MAX_ANSWER_BYTES = 64 * 1024**2
"""Of what an archive says at a time: one answer of DICOM networking, one page of DICOMweb, after decompression."""
MAX_IMAGE_BYTES = 1024**3
"""Of one image, be it of many frames, for it is held in memory."""
MAX_REFUSED = 100
"""Images that nobody asked for, or that came damaged or twice, before a transfer is broken off."""
IN_ALL = 10.0
"""How many times ``timeout_s``, the wait for one answer, a search may last, or a transfer without a new image."""


class Bytes:
    """Counts what comes, up to a limit; `restart` when the image or answer is whole.

    Args:
        most: bytes.
        place: the archive, for messages.
    """

    def __init__(self, most: int, place: str) -> None:
        self.exceeded = False
        self._most, self._place, self._n = most, place, 0

    def take(self, n: int) -> None:
        """Count some more; `ArchiveError` once there are too many."""
        self._n += n
        if self._n > self._most:
            self.exceeded = True
            self.check()

    def check(self) -> None:
        """`ArchiveError` if there were too many."""
        if self.exceeded:
            raise ArchiveError(
                f"{self._place} sends more than {self._most >> 20} MiB at a time, more than an image or answer has; "
                "nothing was kept"
            )

    def restart(self) -> None:
        """Begin to count anew."""
        self._n = 0


class Time:
    """Cuts connections when the time is over, whatever waits for them and however slowly they drip.

    Args:
        seconds: from the beginning, or from the last `restart`.
        place: the archive, for messages.
    """

    def __init__(self, seconds: float, place: str) -> None:
        self._seconds, self._place = seconds, place
        self._end = time.monotonic() + seconds
        self._lock, self._over, self._done = threading.Lock(), False, threading.Event()
        self._watched: list[socket.socket] = []

    def watch(self, connection: socket.socket) -> None:
        """Cut this connection, too, in the end; TLS may be put over it later."""
        with self._lock:
            self._watched.append(connection.dup())

    def restart(self) -> None:
        """Something came that was asked for."""
        self._end = time.monotonic() + self._seconds

    def check(self) -> None:
        """`ArchiveError` if the time is over."""
        self._over |= time.monotonic() > self._end
        self.check_cut()

    def check_cut(self) -> None:
        """`ArchiveError` if connections were cut."""
        if self._over:
            raise ArchiveError(
                f"{self._place} does not come to an end within {self._seconds:g} s; try again, or raise timeout_s"
            )

    def run(self) -> None:
        """Wait for the end of the time or of the work."""
        while not self._done.wait(max(0.0, self._end - time.monotonic())):
            if time.monotonic() >= self._end:
                self._over = True
                self.cut()
                return

    def stop(self) -> None:
        """The work is done."""
        self._done.set()
        with self._lock:
            for connection in self._watched:
                connection.close()

    def cut(self) -> None:
        """End all connections."""
        with self._lock:
            for connection in self._watched:
                with suppress(OSError):  # closed by then
                    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def time_limit(timeout_s: float, place: str) -> Iterator[Time]:
    """`IN_ALL` times ``timeout_s`` for the block; whatever it raises after that is an `ArchiveError` that says so."""
    limit = Time(IN_ALL * timeout_s, place)
    watcher = threading.Thread(target=limit.run, daemon=True)
    watcher.start()
    try:
        yield limit
        limit.check_cut()  # what was cut may look like an end
    except Exception:
        limit.check()
        raise
    finally:
        limit.stop()
        watcher.join()
