"""The last that a process printed, however much that is."""

from __future__ import annotations

import os
import select
import threading

#: How much is kept.
_KEPT_BYTES = 64 << 10
#: What may still be in the pipe of a process that has ended is read within this time.
_REST_SECONDS = 2.0


class Printed:
    """A pipe to print to, which a thread empties so that nobody who prints has to wait, and no disk fills up."""

    def __init__(self) -> None:
        """Open the pipe; nothing is read before :meth:`start`.

        Raises:
            OSError: there are too many open files.
        """
        self._end, self.writable = os.pipe()
        try:
            #: Closed when nobody wants to know any more: a process that outlives its parent may keep the pipe open.
            self._stopped, self._stop = os.pipe()
        except OSError:
            os.close(self._end)
            os.close(self.writable)
            raise
        self._kept = bytearray()
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._empty, name="perfsuite-printed", daemon=True)

    def start(self) -> None:
        """Read from now on; call it once whoever prints has got :attr:`writable`, which is closed here."""
        os.close(self.writable)
        self._thread.start()

    def tail(self, size: int, *, ended: bool) -> str:
        """The last ``size`` bytes; if whoever prints has ended, all that it printed is awaited first."""
        if ended:
            self._thread.join(_REST_SECONDS)
        with self._lock:
            return bytes(self._kept[-size:]).decode("utf-8", "replace")

    def close(self) -> None:
        """Read no further; may be called again."""
        if self._closed:
            return
        self._closed = True
        os.close(self._stop)
        if self._thread.ident is None:
            os.close(self.writable)
        else:
            self._thread.join()
        os.close(self._end)
        os.close(self._stopped)

    def _empty(self) -> None:
        poll = select.poll()  # select.select would not take descriptors above 1023
        poll.register(self._end, select.POLLIN)
        poll.register(self._stopped, select.POLLIN)
        while self._stopped not in dict(poll.poll()):
            more = os.read(self._end, _KEPT_BYTES)
            if not more:
                return
            with self._lock:
                self._kept += more
                del self._kept[:-_KEPT_BYTES]
