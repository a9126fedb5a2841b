"""Open units -> complete units -> jobs."""
