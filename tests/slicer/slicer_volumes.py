"""Volumes for the tests: real nodes, filled with pieces of real images."""

from __future__ import annotations

import hashlib

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

OBLIQUE = np.array(
    [[0.36, -0.48, 0.8, 12.5], [0.8, 0.6, 0.0, -31.25], [-0.48, 0.64, 0.6, 7.125], [0, 0, 0, 1]], dtype=float
) @ np.diag([0.7, 0.7, 2.5, 1])
"""Directions of a rotated, anisotropic stack, as IJK to RAS."""


def added(array: np.ndarray, name: str = "image", ijk_to_ras: np.ndarray | None = None):
    """A volume with these pixels: (N, H, W) scalar, (N, H, W, C) vector; one slice for (H, W)."""
    colour = array.ndim == 4
    matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) if ijk_to_ras is None else ijk_to_ras
    made = slicer.util.addVolumeFromArray(
        array, matrix, name, "vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode"
    )
    if array.dtype == np.uint8:
        # As a camera's picture is shown, not stretched to what is in it.
        made.GetDisplayNode().SetAutoWindowLevel(False)
        made.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    return made


def sequence_of(frames: np.ndarray, name: str = "film"):
    """A sequence of single images (or, from (T, N, H, W), of stacks) with a browser."""
    sequence = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    for index, frame in enumerate(frames):
        node = slicer.vtkMRMLScalarVolumeNode()
        slicer.util.updateVolumeFromArray(node, frame if frame.ndim == 3 else frame[None])
        node.SetName(f"{name} {index}")
        sequence.SetDataNodeAtValue(node, str(index))
    browser = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.AddSynchronizedSequenceNode(sequence)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    shown = browser.GetProxyNode(sequence)
    shown.CreateDefaultDisplayNodes()
    shown.GetDisplayNode().SetAutoWindowLevel(False)
    shown.GetDisplayNode().SetWindowLevelMinMax(0, 255)
    return sequence


def matrix_of(node) -> np.ndarray:
    """IJK to RAS as a (4, 4) array."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def node_ids() -> set[str]:
    """All nodes of the scene."""
    scene = slicer.mrmlScene
    return {scene.GetNthNode(index).GetID() for index in range(scene.GetNumberOfNodes())}


def fingerprint(node) -> bytes:
    """Of all pixels, of the geometry and of the name of a volume, or of all volumes of a sequence."""
    found = hashlib.sha256(node.GetName().encode())
    sequence = node.IsA("vtkMRMLSequenceNode")
    for volume in [node.GetNthDataNode(i) for i in range(node.GetNumberOfDataNodes())] if sequence else [node]:
        image = volume.GetImageData()
        scalars = image.GetPointData().GetScalars()
        found.update(repr((image.GetDimensions(), scalars.GetDataTypeAsString())).encode())
        found.update(np.ascontiguousarray(vtk_to_numpy(scalars)).tobytes())
        found.update(matrix_of(volume).tobytes())
    return found.digest()
