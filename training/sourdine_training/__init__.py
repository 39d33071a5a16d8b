"""Makes the wake-word model: words, voices, rooms, training, export."""
