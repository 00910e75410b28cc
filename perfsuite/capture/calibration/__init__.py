"""The training step that ``perfsuite calibrate`` compares with itself, as a test of its own."""
