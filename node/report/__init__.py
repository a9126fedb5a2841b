"""What the node says about itself: log lines, metrics, health."""
