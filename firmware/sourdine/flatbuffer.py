"""A bounded reader of FlatBuffers: whatever the bytes say, it reads inside them or raises ModelError.

Reads from memory or, a page at a time, from an open file, so that a model need not lie in RAM twice. Nothing
here knows TensorFlow. Source: the FlatBuffers internals page (flatbuffers.dev/internals): little-endian; an
offset is relative to where it stands; a table begins with the signed distance back to its vtable.
"""

import struct

PAGE = 512  # bytes read from a file at once


class ModelError(ValueError):
    """This model cannot run here; the text says why. Nothing of it was kept."""


class Flatbuffer:
    """`source`: bytes-like (not copied), or a file opened in binary mode (must stay open while this is used)."""

    def __init__(self, source):
        self._file = source
        self._start = 0  # offset of the page in the whole
        if hasattr(source, "readinto"):
            self.size = source.seek(0, 2)
            self._page = memoryview(bytearray(PAGE))
            self._end = 0
        else:
            self._page = memoryview(source)
            self.size = self._end = len(self._page)

    def _find(self, at, size):
        """Bring bytes [at, at + size) into the page; returns where they are in it."""
        if at < 0 or size < 0 or at + size > self.size:
            raise ModelError(f"truncated or damaged: byte {at + size} of {self.size} is needed")
        if at < self._start or at + size > self._end:
            self._file.seek(at)
            self._start = at
            self._end = at + self._file.readinto(self._page)
            if at + size > self._end:
                raise ModelError("the file ended while it was read")
        return at - self._start

    def read(self, form, size, at):
        """One number of struct format `form`, which takes `size` bytes, at offset `at`."""
        return struct.unpack_from(form, self._page, self._find(at, size))[0]

    def byte(self, at):
        return self._page[self._find(at, 1)]

    def i32(self, at):
        return self.read("<i", 4, at)

    def u32(self, at):
        return self.read("<I", 4, at)

    def copy(self, at, size, target, offset):
        """Bytes [at, at + size) into the bytearray `target` from `offset` on."""
        while size > 0:
            n = min(size, PAGE)
            found = self._find(at, n)
            target[offset : offset + n] = self._page[found : found + n]
            at += n
            offset += n
            size -= n

    def follow(self, at):
        """The place that the offset at `at` points to."""
        target = at + self.u32(at)
        self._find(target, 4)
        return target

    def vector(self, at, item):
        """(offset of the first item, count) of the vector at `at`, whose items take `item` bytes each."""
        count = self.u32(at)
        if count * item > self.size:
            raise ModelError(f"damaged: a list of {count} entries")
        self._find(at + 4 + max(count * item - 1, 0), 1 if count else 0)
        return at + 4, count

    def root(self):
        return Table(self, self.follow(0))


class Table:
    """A table; its fields by number, in the order of the schema. A field that is absent has its default.

    Without `at` it is a table in which every field is absent.
    """

    def __init__(self, data, at=None):
        self.data = data
        self._at = at
        self._vtable = self._slots = 0
        if at is not None:
            self._vtable = at - data.i32(at)
            self._slots = data.read("<H", 2, self._vtable)

    def _field(self, number):
        slot = 4 + 2 * number
        if slot + 2 > self._slots:
            return 0
        offset = self.data.read("<H", 2, self._vtable + slot)
        return self._at + offset if offset else 0

    def byte(self, number, default=0):
        at = self._field(number)
        return self.data.byte(at) if at else default

    def i32(self, number, default=0):
        at = self._field(number)
        return self.data.i32(at) if at else default

    def u32(self, number, default=0):
        at = self._field(number)
        return self.data.u32(at) if at else default

    def vector(self, number, item=4):
        """(offset, count); (0, 0) when absent."""
        at = self._field(number)
        return self.data.vector(self.data.follow(at), item) if at else (0, 0)

    def integers(self, number, limit, form="<i", size=4):
        """The numbers of a vector as a tuple; more than `limit` of them raise ModelError."""
        at, count = self.vector(number, size)
        if count > limit:
            raise ModelError(f"{count} entries where at most {limit} are supported")
        return tuple([self.data.read(form, size, at + size * i) for i in range(count)])

    def table(self, number):
        """The table of this field, empty when absent."""
        at = self._field(number)
        return Table(self.data, self.data.follow(at) if at else None)

    def item(self, number, index):
        """Entry `index` of a vector of tables."""
        at, count = self.vector(number)
        if not 0 <= index < count:
            raise ModelError(f"damaged: entry {index} of {count}")
        return Table(self.data, self.data.follow(at + 4 * index))

    def text(self, number, limit=256):
        """The bytes of a string, empty when absent."""
        at, count = self.vector(number, 1)
        if count > limit:
            raise ModelError(f"a name of {count} bytes")
        out = bytearray(count)
        self.data.copy(at, count, out, 0)
        return bytes(out)
