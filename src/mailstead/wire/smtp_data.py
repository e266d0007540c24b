"""Reading a message's octets from DATA or BDAT, within a bound and in linear time.

Only CRLF ``.`` CRLF ends DATA (RFC 5321 section 4.1.1.4). A bare CR, a bare LF
or a NUL makes the message `dirty`: it is read to its true end all the same, so
that nothing inside is ever taken for a command, and then thrown away.
"""

from __future__ import annotations

_END = b"\r\n.\r\n"


class Collector:
    """Octets kept up to a limit, with a count of what may not be among them."""

    def __init__(self, limit: int) -> None:
        """`limit` is the most octets a message may have, added dots not counted."""
        self._limit = limit
        # The CRLF of the command line: a first line may begin with a dot.
        self._text: bytearray = bytearray(b"\r\n")
        self._returns = 0
        self._feeds = 0
        self._pairs = 0
        self._stuffed = 0
        self._nul = False
        self.too_long = False

    @property
    def size(self) -> int:
        """Octets it keeps."""
        return len(self._text)

    @property
    def dirty(self) -> bool:
        """Whether what was read so far has a bare CR, bare LF or NUL; a final CR counts."""
        return self._nul or not self._returns == self._pairs == self._feeds

    def _count(self, start: int, stop: int) -> None:
        """Count in the octets added; those before `start` were counted already."""
        text = self._text
        self._returns += text.count(b"\r", start, stop)
        self._feeds += text.count(b"\n", start, stop)
        self._pairs += text.count(b"\r\n", start - 1, stop)
        self._stuffed += text.count(b"\r\n.", start - 2, stop)
        self._nul = self._nul or text.find(b"\0", start, stop) >= 0

    def _drop_if_over(self, size: int) -> None:
        if self.too_long or size > self._limit:
            self.too_long = True
            # What may yet be the beginning of the end stays.
            del self._text[: -len(_END) + 1]


class DataReader(Collector):
    """The content after DATA, to its end, dots unstuffed."""

    def feed(self, buffer: bytearray) -> bool:
        """Take octets out of `buffer`; True when the end was among them."""
        start = len(self._text)
        self._text += buffer
        end = self._text.find(_END, max(0, start - len(_END) + 1))
        stop = len(self._text) if end < 0 else end + len(_END)
        self._count(start, stop)
        del buffer[: stop - start]
        del self._text[stop:]
        if end < 0:
            self._drop_if_over(len(self._text) - 2 - self._stuffed - len(_END))
            return False
        # The ending line's own dot was counted, the first CRLF is not of the message.
        self._drop_if_over(len(self._text) - 2 - 3 - self._stuffed + 1)
        return True

    def content(self) -> bytes:
        """The message, when the end was read and it is neither dirty nor too long."""
        if self._stuffed == 1:
            # Only the ending line begins with a dot: one copy of a large message, not three.
            return bytes(memoryview(self._text)[2:-3])
        # The ending line loses its dot as well: an empty line of it is left.
        return bytes(memoryview(self._text.replace(b"\r\n.", b"\r\n"))[2:-2])


class ChunkReader(Collector):
    """The content of BDAT chunks (RFC 3030)."""

    def __init__(self, limit: int) -> None:
        """As `Collector`."""
        super().__init__(limit)
        self._left = 0

    def begin(self, size: int) -> None:
        """A chunk of `size` octets follows."""
        self._left = size

    def feed(self, buffer: bytearray) -> bool:
        """Take octets out of `buffer`; True when the chunk is complete."""
        start = len(self._text)
        self._text += buffer[: self._left]
        stop = len(self._text)
        self._count(start, stop)
        del buffer[: stop - start]
        self._left -= stop - start
        self._drop_if_over(stop - 2)
        return not self._left

    @property
    def broken(self) -> bool:
        """Whether it is dirty whatever chunk follows: a final CR may yet get its LF."""
        open_end = self._text.endswith(b"\r")
        return self._nul or self._feeds != self._pairs or self._returns - open_end != self._pairs

    def content(self) -> bytes:
        """The message so far."""
        return bytes(memoryview(self._text)[2:])
