from array import array

import micropython as micropython

type Buffer = bytes | bytearray | memoryview | array[int]
ptr8 = Buffer
ptr16 = Buffer
ptr32 = Buffer
uint = int
