"""An extension as someone else would write one: a runtime, a metric, and their names."""
