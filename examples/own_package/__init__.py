"""Components of one's own, each in a module of its own: see docs/extend.md."""
