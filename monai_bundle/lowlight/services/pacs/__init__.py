"""The PACS worker: watches for dark images and stores derived series beside them.

`rules` says what is wanted, `queue` holds what became of each instance, `sources`, `listener` and `destinations` talk
to archives, `enhancing` makes the results, `worker` moves instances from state to state, `health` tells how it goes.
"""
