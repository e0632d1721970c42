"""Memory that a run is about to use, made ready before the clock starts and handed over as the run takes it."""

import contextlib
import ctypes
import mmap
import re
import threading

# Of the memory that is there: more would push out what a run reads.
LARGEST_PART = 0.25
# What a program of the run uses beside the files it writes.
PER_HOST = 96 << 20
# Given before it is asked for: what hosts write in a tenth of a second. More would be taken by the host machine while it waits.
AHEAD = 32 << 20
STEP = 4 << 20
PAUSE_S = 0.01
HUGE_PAGE = 2 << 20
MADV_POPULATE_WRITE = 23  # Linux 5.14; Python 3.11's mmap has no name for it


def _available():
    with open("/proc/meminfo", encoding="ascii") as f:
        return int(re.search(r"^MemAvailable:\s+(\d+)", f.read(), re.M)[1]) << 10


def _taken():
    """Bytes written into files since the machine started, and of anonymous memory.

    Free memory itself says less: other files that nobody reads any more come and go meanwhile.
    """
    with open("/proc/vmstat", encoding="ascii") as f:
        return mmap.PAGESIZE * sum(int(line.split()[1]) for line in f if line.startswith(("nr_dirtied ", "nr_anon_pages ")))


class Reserve:
    """Holds as many bytes of touched memory as `hosts` that write `size` each will use, and gives them back as they do.

    A virtual machine gives memory that it does not use back to its host, within a second, and the first touch of each page
    after that costs a microsecond and more, charged to whoever writes there: 3.0 s of processor time for files of 1.75 GiB
    instead of 0.6, 6 s in a warm run with its busy processors. Freed all at once before the run it is gone again before the run
    gets there; handed over bit by bit it is not. A machine that owns its memory does not know this cost.
    """

    def __init__(self, hosts, size):
        size = min(hosts * (size + PER_HOST), int(_available() * LARGEST_PART)) // STEP * STEP
        self._memory, self._size, self._given = None, size, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        if size:
            # In large pages: a file is kept in blocks of up to the size of one write, which scattered small pages do not make.
            self._memory = mmap.mmap(-1, size + HUGE_PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            self._memory.madvise(mmap.MADV_DONTFORK)
            with contextlib.suppress(OSError):  # a kernel without them
                self._memory.madvise(mmap.MADV_HUGEPAGE)
            self._offset = -ctypes.addressof(ctypes.c_char.from_buffer(self._memory)) % HUGE_PAGE
            self._memory.madvise(MADV_POPULATE_WRITE, self._offset, size)
            self._begin = _taken()
            self._thread.start()

    def _run(self):
        while self._given < self._size and not self._stop.wait(PAUSE_S):
            # What was given is no longer anonymous memory, which hides as much of what others took.
            taken = _taken() - self._begin + self._given
            missing = min(taken + AHEAD - self._given, self._size - self._given)
            if missing > 0:
                length = -(-missing // STEP) * STEP
                self._memory.madvise(mmap.MADV_DONTNEED, self._offset + self._given, length)
                self._given += length

    def close(self):
        """Gives back what is left."""
        self._stop.set()
        if self._memory:
            self._thread.join()
            self._memory.close()
            self._memory = None
