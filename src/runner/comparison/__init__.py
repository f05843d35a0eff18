"""`runner-compare <folder> …`: compare many runs, from their folders alone, without torch.

From folders to output: `collect` finds the runs, `where` selects some, `groups` puts repeats
together; `table`, `significance`, `curves`, `importance` and `differences` compute; `terminal`,
`writers` and `page` show the results; `gate` is `--check`.
"""
