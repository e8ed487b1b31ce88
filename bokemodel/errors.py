"""The errors of this package: a small tree, each message one line that says what to do."""

from __future__ import annotations


class BokeModelError(Exception):
    """Base of everything that bokemodel raises on purpose."""


class PictureError(BokeModelError):
    """Base of what can be wrong with a picture."""


class EmptyPicture(PictureError):
    """No bytes at all."""


class NotAPicture(PictureError):
    """The bytes are of no picture format that is read here (text, SVG, PDF, video...)."""


class CorruptPicture(PictureError):
    """A picture format, but the file is cut short or damaged."""


class TooManyPixels(PictureError):
    """The picture would take more memory than allowed (a decompression bomb, or just huge)."""


class EncoderError(BokeModelError):
    """Base of what can be wrong with a vision network."""


class UnknownEncoder(EncoderError):
    """No encoder of that name."""


class WeightsMissing(EncoderError):
    """The file with the network's weights is not there."""


class WeightsUnreadable(EncoderError):
    """The file with the network's weights is there but is not what it should be."""


class NoGraph(EncoderError):
    """The network cannot be translated to ONNX, or ONNX Runtime is not there; Chainer runs it all the same."""


class DownloadFailed(EncoderError):
    """The weights could not be fetched: no network, no room, or not the file that was published."""


class BundleError(BokeModelError):
    """Base of what can be wrong with a trained model on disk."""


class BundleMissing(BundleError):
    """No bundle in that folder."""


class BundleTruncated(BundleError):
    """A file of the bundle is missing or shorter than its manifest says."""


class BundleTampered(BundleError):
    """A file of the bundle is not the one that its manifest names."""


class BundleTooNew(BundleError):
    """The bundle was written by a later version of this program."""


class BundleMismatch(BundleError):
    """The bundle was trained on vectors of another encoder, or of other weights."""


class UnknownMode(BokeModelError):
    """No way of answering of that name."""
