"""Reading bit fields and Exp-Golomb codes of small headers. Not for frame payloads, and it writes nothing."""

from __future__ import annotations


class BitstreamError(ValueError):
    """A header ends too early or holds a value its specification forbids."""


class BitReader:
    """Reads big-endian bit fields from `data`, first bit first.

    The whole of `data` becomes one integer, so give it headers (some hundred bytes), not frames.
    Every method raises `BitstreamError` when the bits run out.
    """

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned integer (0 bits are 0)."""
        left = self._left - count
        if left < 0:
            raise BitstreamError(f"header ends {-left} bits too early")
        self._left = left
        return (self._value >> left) & ((1 << count) - 1)

    def flag(self) -> bool:
        return self.bits(1) == 1

    def leading_zeros(self) -> int:
        """Consumes zero bits up to and including the one that ends them; at most 32 of them."""
        zeros = 0
        while not self.bits(1):
            zeros += 1
            if zeros > 32:
                raise BitstreamError("more than 32 leading zero bits in a variable-length code")
        return zeros

    def ue(self) -> int:
        """Unsigned Exp-Golomb code (ITU-T H.264 §9.1)."""
        zeros = self.leading_zeros()
        return (1 << zeros) - 1 + self.bits(zeros)

    def se(self) -> int:
        """Signed Exp-Golomb code (ITU-T H.264 §9.1.1)."""
        code = self.ue()
        return (code + 1) >> 1 if code & 1 else -(code >> 1)
