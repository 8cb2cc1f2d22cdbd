"""What keeps running and serves others, reaching images through `lowlight.enhance` and `lowlight.imaging` alone.

`worker`: the child process of a viewer, see docs/worker.md of the bundle. `pacs`: beside an archive, see docs/pacs.md.
`monai_label`: for annotators, see docs/monai_label.md.
"""
