"""An extension of the service under test: stage points at which a worker is killed or frozen."""
