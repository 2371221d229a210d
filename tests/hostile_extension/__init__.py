"""An extension whose stages do what native code does at its worst, as a file says."""
