"""How damaged an image is: noise, impulses, blur, JPEG and exposure, in numbers with units.

Estimators know arrays, no files: display space, 0 black and 1 white.
"""
