"""Charts as SVG that takes its colours from the page around it."""
