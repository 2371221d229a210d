"""An extension as others would write one: an objective, a runtime, a metric, and their names."""
