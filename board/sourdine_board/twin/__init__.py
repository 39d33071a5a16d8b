"""The board's twin: real MicroPython on simulated hardware that obeys the circuit."""

from sourdine_board.twin.board import Board, Ended

__all__ = ["Board", "Ended"]
