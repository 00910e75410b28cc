"""Base against head: quiet interleaved workers, a census, a verdict for each benchmark and what explains it."""
