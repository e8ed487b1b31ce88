"""The errors of corpus, filters and features: a small tree, each message one line that says what to do."""

from __future__ import annotations

import errno


class CorpusError(Exception):
    """Base of everything that goes wrong on purpose between a file of jokes and the training."""


class ImportFailed(CorpusError):
    """A file of jokes cannot be read, or more of it is bad than good. What could be read of it is in the corpus."""


class ParquetMissing(ImportFailed):
    """pyarrow, which reads Parquet, is not installed."""


class ExportFailed(CorpusError):
    """The corpus cannot be written there."""


class CorpusDiskFull(ImportFailed, ExportFailed):
    """No room is left for pictures, or for the file that is written."""


class FilterError(CorpusError):
    """A filter cannot be as it was asked for."""


class FeatureError(CorpusError):
    """Base of what can be wrong with the stored feature vectors."""


class FeaturesBusy(FeatureError):
    """Another process is adding vectors of the same encoder."""


class FeaturesDamaged(FeatureError):
    """The stored vectors are not what their description says."""


class FeaturesDiskFull(FeatureError):
    """No room is left for vectors. Those that were stored stay."""


class FeaturesMissing(FeatureError):
    """There is no vector of a picture that was asked for."""


class PicturesDeadly(FeatureError):
    """The process that decodes pictures dies of whatever it is given. The vectors that were stored stay."""


class FeaturesClusterFailed(FeatureError):
    """The cluster that should compute vectors does not, or computes other ones. Those that were stored stay."""


def no_room(error: OSError) -> bool:
    """Is the disk full, a quota used up, or a file as large as it may be?"""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
