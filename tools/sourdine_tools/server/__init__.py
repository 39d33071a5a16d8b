"""The server: its own CA, speakers' sessions in memory, their ledgers on disk."""

from sourdine_tools.server.listener import Server, serving
from sourdine_tools.server.session import Session

__all__ = ["Server", "Session", "serving"]
