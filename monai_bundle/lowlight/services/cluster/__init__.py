"""Many processes, on this machine or on others, behind `lowlight enhance --cluster` and `lowlight archive`.

`connecting` and `flights` know Dask and nothing of images; `process` is what runs in a worker. `groups` serves a batch;
`archiving` works off a `ledger`, chunk by chunk (`chunk`), and `journal` is what a chunk leaves if its worker dies.
See docs/archive.md of the bundle.
"""
