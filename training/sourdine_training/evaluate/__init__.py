"""Any wake-word model, ours or a peer's, judged on recordings of real people; see judge.py for how."""
