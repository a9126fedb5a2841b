"""From the network or a folder to the spool, and from the spool to the index."""
