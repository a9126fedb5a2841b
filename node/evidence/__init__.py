"""Asking the sources of units what they have (C-FIND), and pulling what is missing (C-MOVE, C-GET)."""
