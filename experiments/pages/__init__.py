"""The page of a sweep: one HTML file with everything that was measured, for reading without a network."""
