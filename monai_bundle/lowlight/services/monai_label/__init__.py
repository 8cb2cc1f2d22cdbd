"""The MONAI Label app: annotators get enhanced images from a MONAI Label server, rate them, and see the worst first.

`environment` makes the environment that the server runs in, `appfolder` writes the app, `launching` starts it: these
three run in the environment of LowLightEnhance. All else runs in the server: `app` is what MONAI Label loads, made of
`enhancing`, `proposing`, `training` and `datastore`; `server` and `guarding` are what HTTP requests meet. See
docs/monai_label.md of the bundle.
"""
