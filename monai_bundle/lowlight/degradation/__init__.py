"""How a clean image becomes a dark one: MONAI transforms for low light, and a record to replay them.

Each damage has a deterministic transform (``Exposure``), a random one that draws its parameters (``RandExposure``), and
both for dictionaries (``Exposured``, ``RandExposured``). :class:`LowLight` and :class:`LowLightd` compose them into a
whole observation, with severities and modality presets. Images are channel-first, grey or colour, float in [0, 1].

    dark = LowLightd("image", severity="medium", copy_clean_to="label")({"image": clean, "modality": "xray"})
    print(describe(record_of(dark["image"])))
"""

from lowlight.degradation.base import Degradation, RandomDegradation, record_of
from lowlight.degradation.blur import (
    Defocus,
    Defocusd,
    MotionBlur,
    MotionBlurd,
    RandDefocus,
    RandDefocusd,
    RandMotionBlur,
    RandMotionBlurd,
)
from lowlight.degradation.coding import (
    JpegCompression,
    JpegCompressiond,
    Quantisation,
    Quantisationd,
    RandJpegCompression,
    RandJpegCompressiond,
    RandQuantisation,
    RandQuantisationd,
)
from lowlight.degradation.exposure import Exposure, Exposured, RandExposure, RandExposured
from lowlight.degradation.illumination import (
    RandUnevenIllumination,
    RandUnevenIlluminationd,
    UnevenIllumination,
    UnevenIlluminationd,
)
from lowlight.degradation.impulse import RandSaltAndPepper, RandSaltAndPepperd, SaltAndPepper, SaltAndPepperd
from lowlight.degradation.lowlight import LowLight, LowLightd, Observation
from lowlight.degradation.noise import (
    RandRowNoise,
    RandRowNoised,
    RandSensorNoise,
    RandSensorNoised,
    RowNoise,
    RowNoised,
    SensorNoise,
    SensorNoised,
)
from lowlight.degradation.presets import COMMON, MODALITIES, SEVERITIES, Profile
from lowlight.degradation.ranges import Range
from lowlight.degradation.record import describe, replay
from lowlight.degradation.tone import (
    ContrastStretch,
    ContrastStretchd,
    GammaCorrection,
    GammaCorrectiond,
    HistogramEqualisation,
    HistogramEqualisationd,
    RandContrastStretch,
    RandContrastStretchd,
    RandGammaCorrection,
    RandGammaCorrectiond,
    RandHistogramEqualisation,
    RandHistogramEqualisationd,
)

__all__ = [
    "COMMON",
    "MODALITIES",
    "SEVERITIES",
    "ContrastStretch",
    "ContrastStretchd",
    "Defocus",
    "Defocusd",
    "Degradation",
    "Exposure",
    "Exposured",
    "GammaCorrection",
    "GammaCorrectiond",
    "HistogramEqualisation",
    "HistogramEqualisationd",
    "JpegCompression",
    "JpegCompressiond",
    "LowLight",
    "LowLightd",
    "MotionBlur",
    "MotionBlurd",
    "Observation",
    "Profile",
    "Quantisation",
    "Quantisationd",
    "RandContrastStretch",
    "RandContrastStretchd",
    "RandDefocus",
    "RandDefocusd",
    "RandExposure",
    "RandExposured",
    "RandGammaCorrection",
    "RandGammaCorrectiond",
    "RandHistogramEqualisation",
    "RandHistogramEqualisationd",
    "RandJpegCompression",
    "RandJpegCompressiond",
    "RandMotionBlur",
    "RandMotionBlurd",
    "RandQuantisation",
    "RandQuantisationd",
    "RandRowNoise",
    "RandRowNoised",
    "RandSaltAndPepper",
    "RandSaltAndPepperd",
    "RandSensorNoise",
    "RandSensorNoised",
    "RandUnevenIllumination",
    "RandUnevenIlluminationd",
    "RandomDegradation",
    "Range",
    "RowNoise",
    "RowNoised",
    "SaltAndPepper",
    "SaltAndPepperd",
    "SensorNoise",
    "SensorNoised",
    "UnevenIllumination",
    "UnevenIlluminationd",
    "describe",
    "record_of",
    "replay",
]
