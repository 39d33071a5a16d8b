from array import array
from typing import TypeAlias

import micropython as micropython

Buffer: TypeAlias = bytes | bytearray | memoryview | array[int]
ptr8 = Buffer
ptr16 = Buffer
ptr32 = Buffer
uint = int
