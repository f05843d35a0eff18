"""`runner-compare <folder> …`: what many runs say together, read from their folders alone.

Nothing here needs torch. From folders to output: `collect` (runs), `where` (which of them),
`groups` (repeats of each other), `table`, `pairs`, `curves`, `importance` and `differences` (what
is computed), `terminal`, `writers` and `page` (where it is shown), `gate` (`--check`).
"""
