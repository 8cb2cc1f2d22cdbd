"""What the panel keeps in the scene."""

from typing import Annotated, Union

import slicer
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


@parameterNodeWrapper
class Parameters:
    """
    inputNode: the volume or sequence to enhance.
    brightness: strength in [0, 1.5]. denoise: strength in [0, 1].
    """

    inputNode: Union[slicer.vtkMRMLScalarVolumeNode, slicer.vtkMRMLSequenceNode]
    brightness: Annotated[float, WithinRange(0, 1.5)] = 1.0
    denoise: Annotated[float, WithinRange(0, 1)] = 1.0
