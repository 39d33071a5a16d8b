"""The checker itself: it must catch what 64-bit registers hide, and let pass what the chip can do."""

from array import array

import pytest

from viper import Overflow, Refused, Stray, checked

ptr8 = ptr16 = ptr32 = uint = None  # viper's own words; the checker gives them their meaning


def square(x: int) -> int:
    return x * x


def grow(x: int) -> int:
    x += 1
    return x


def first(p: ptr16) -> int:
    return p[0]


def word(p: ptr32) -> int:
    return p[0]


def as_uint(p: ptr32) -> int:
    x = uint(p[0])
    return x >> 16


def total(p: ptr32, n: int) -> int:
    s = 0
    end = int(p) + n * 4
    while int(p) < end:
        s += p[0]
        p = ptr32(int(p) + 4)
    return s


def test_overflow_names_the_expression():
    assert checked(square)(46340) == 46340**2
    with pytest.raises(Overflow, match=r"x \* x = 2147488281"):
        checked(square)(46341)


def test_augmented_assignment_is_checked():
    assert checked(grow)((1 << 31) - 2) == (1 << 31) - 1
    with pytest.raises(Overflow, match="x \\+ 1"):
        checked(grow)((1 << 31) - 1)


def test_arguments_must_fit_a_register():
    with pytest.raises(Overflow):
        checked(grow)(1 << 31)


def test_overflow_inside_a_larger_expression_is_caught():
    def mean(a: int, b: int) -> int:
        return (a + b) >> 1

    assert checked(mean)(3, 5) == 4
    with pytest.raises(Overflow):
        checked(mean)(1 << 30, 1 << 30)


def test_ptr8_and_ptr16_read_unsigned_and_ptr32_signed():
    def byte(p: ptr8) -> int:
        return p[0]

    assert checked(byte)(array("b", [-1])) == 255
    assert checked(first)(array("h", [-1])) == 65535
    assert checked(word)(array("i", [-1])) == -1
    assert checked(word)(array("I", [(1 << 32) - 1])) == -1


def test_uint_of_a_load_takes_the_bits_as_they_lie():
    assert checked(as_uint)(array("i", [-1])) == 65535


def test_uint_of_a_negative_number_is_not_portable():
    def bad(x: int) -> int:
        return uint(x) >> 1

    assert checked(bad)(4) == 2
    with pytest.raises(Overflow):
        checked(bad)(-4)


def test_a_store_keeps_the_low_bits_only_where_the_kernel_says_so():
    def meant(p: ptr16, x: int):
        p[0] = uint(x - 1)

    def slipped(p: ptr16, x: int):
        p[0] = x - 1

    cells = array("H", [7])
    for x, kept in ((0, 65535), (1, 0), (70000, 70000 - 1 - 65536), (-70000, 131072 - 70001)):
        checked(meant)(cells, x)
        assert cells[0] == kept
    with pytest.raises(Overflow, match="69999 stored through ptr16"):
        checked(slipped)(cells, 70000)
    with pytest.raises(Overflow, match="x - 1"):  # what is stored must fit a register all the same
        checked(meant)(cells, -(1 << 31))


def test_unsigned_product_may_use_the_top_bit_but_no_more():
    def high(a: int, b: int) -> int:
        return (uint(a) * b) >> 16

    assert checked(high)(65535, 65535) == 65534
    with pytest.raises(Overflow):
        checked(high)(65536, 65536)


def test_uint_spreads_from_the_left_only():
    def left(a: int) -> int:
        return uint(a) - 1

    def right(a: int) -> int:
        return 1 - uint(a)

    assert checked(right)(5) == -4
    assert checked(left)(5) == 4
    with pytest.raises(Overflow):
        checked(left)(0)


def test_pointers_walk_and_may_rest_just_past_the_end():
    assert checked(total)(array("i", [1, -2, 3]), 3) == 2


def test_reading_past_the_end_is_astray():
    with pytest.raises(Stray, match="byte 12 of p"):
        checked(total)(array("i", [1, 2, 3]), 4)


def test_negative_index_is_before_the_buffer_not_its_end():
    def before(p: ptr16) -> int:
        return p[-1]

    with pytest.raises(Stray):
        checked(before)(array("h", [1, 2]))


def test_buffers_are_not_neighbours():
    def across(a: ptr8, b: ptr8) -> int:
        return a[int(b) - int(a)]

    with pytest.raises(Stray):
        checked(across)(bytearray(4), bytearray(4))


def test_unaligned_access_is_astray():
    data = memoryview(bytearray(range(8)))
    assert checked(first)(data[2:]) == 0x0302
    with pytest.raises(Stray):
        checked(first)(data[1:])


def test_pointers_change_their_kind():
    def byte_of(p: ptr32, i: int) -> int:
        q = ptr8(p)
        return q[i]

    assert checked(byte_of)(array("i", [0x04030201]), 2) == 3


def test_stores_must_fit_the_cell():
    def store(p: ptr16, x: int):
        p[0] = x

    out = array("h", [0])
    for value, kept in ((-1, -1), (65535, -1), (-32768, -32768)):
        checked(store)(out, value)
        assert out[0] == kept
    for value in (65536, -32769):
        with pytest.raises(Overflow, match="stored"):
            checked(store)(out, value)


def test_a_word_stores_what_either_type_holds():
    def store(p: ptr32, x: int):
        p[0] = x

    def store_uint(p: ptr32, x: uint):
        p[0] = x

    out = array("i", [0])
    for kernel, value, kept in ((store, -5, -5), (store_uint, 1 << 31, -(1 << 31)), (store_uint, (1 << 32) - 1, -1)):
        checked(kernel)(out, value)
        assert out[0] == kept


def test_stores_through_augmented_assignment():
    def bump(p: ptr32, i: int):
        p[i] += 5
        p[i] <<= 1

    out = array("i", [0, 2])
    checked(bump)(out, 1)
    assert list(out) == [0, 14]


def test_shift_counts_stay_below_the_word():
    def shift(x: int, n: int) -> int:
        return x >> n

    assert checked(shift)(-9, 31) == -1
    for n in (32, -1):
        with pytest.raises(Overflow, match="shift"):
            checked(shift)(1, n)


def test_min_and_division_are_refused():
    def smaller(a: int, b: int) -> int:
        return min(a, b)

    def half(a: int) -> int:
        return a / 2

    for kernel, arguments in ((smaller, (1, 2)), (half, (4,))):
        with pytest.raises(Refused):
            checked(kernel)(*arguments)


def test_kernels_of_the_firmware_are_checked_ones():
    from sourdine import native

    assert native.micropython.viper is checked


def copy(x: ptr32, y: ptr32):
    y[0] = x[0]


@pytest.mark.parametrize("value", [-1, -(1 << 31), (1 << 31) - 1, 0])
def test_any_word_can_be_copied(value):
    out = array("i", [7])
    checked(copy)(array("i", [value]), out)
    assert out[0] == value
