"""Pixels and geometry: numpy in, numpy out. Knows no network, no database and no configuration."""
