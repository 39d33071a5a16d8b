"""Rooms and microphones: how a voice sounds when it arrives. Everything is simulated, so none of it is ever the same."""

from sourdine_training.rooms.options import Options
from sourdine_training.rooms.responses import Bank, bank
from sourdine_training.rooms.scene import Bed, scene

__all__ = ["Bank", "Bed", "Options", "bank", "scene"]
