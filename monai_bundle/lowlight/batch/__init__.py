"""Files in, results out, each on its own: what commands of one process and workers of a cluster do alike.

`doing`: one group of files. `enhancing`: what is done to them. `planning` is the command line's (`lowlight.cli.batch`),
which says what is asked for; this package says nothing to anybody but the one that listens (`doing.Told`).
"""
