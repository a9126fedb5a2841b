"""Storage commitment: requests are decided, and reported to who asked."""
