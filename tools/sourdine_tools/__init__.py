"""What runs on the owner's computer: flash, verify, pair, serve, audit, demo."""
