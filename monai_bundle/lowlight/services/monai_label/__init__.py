"""The MONAI Label app: annotators get enhanced images from a MONAI Label server, rate them, and are shown the worst first.

`environment` makes the environment that the server runs in, `appfolder` writes the app, and `launching` starts it; these
three run in the environment of LowLightEnhance. All else runs in the server: `app` is what MONAI Label loads, made of
`enhancing`, `proposing`, `training` and `datastore`; `server` is what HTTP requests meet. See docs/monai_label.md of the
bundle.
"""
