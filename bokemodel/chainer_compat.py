"""Chainer 7.8.1 on numpy 2, current protobuf and a Python without setuptools: the only place that imports Chainer.

Everything else takes it from here::

    from bokemodel.chainer_compat import F, L, chainer

Chainer's last release (2022) asks numpy for names that numpy 1.24 and 2.0 removed, and its environment check asks for
``numpy.distutils`` and ``pkg_resources``, which are gone from current Pythons. Its Caffe reader brings a protobuf module
generated too long ago for current protobuf; `bokemodel.encoders.caffe_pb2` (from an own minimal ``caffe.proto``) takes
its place.
"""

from __future__ import annotations

import contextlib
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

# Names removed from numpy which Chainer 7.8.1 still uses, and what each one meant.
NUMPY_ALIASES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "complex": complex,
    "object": object,
    "str": str,
    "product": np.prod,
    "cumproduct": np.cumprod,
    "sometrue": np.any,
    "alltrue": np.all,
    "asscalar": lambda array: array.item(),
    "sctypes": {
        "int": [np.int8, np.int16, np.int32, np.int64],
        "uint": [np.uint8, np.uint16, np.uint32, np.uint64],
        "float": [np.float16, np.float32, np.float64],
        "complex": [np.complex64, np.complex128],
        "others": [bool, object, bytes, str, np.void],
    },
}


def add_numpy_aliases() -> None:
    """Give numpy back the names of `NUMPY_ALIASES` that it lacks; names it still has are left alone."""
    for name, value in NUMPY_ALIASES.items():
        if name not in np.__dict__:
            setattr(np, name, value)


def _stand_in(name: str, **members: Any) -> types.ModuleType:
    module = types.ModuleType(name, "Stand-in made by bokemodel.chainer_compat while Chainer is imported.")
    module.__dict__.update(members)
    return module


def _nothing(*_args: object, **_kwargs: object) -> dict[str, Any]:
    return {}


class _DistributionNotFound(Exception):
    pass


class _VersionConflict(Exception):
    pass


def _stand_ins() -> dict[str, types.ModuleType]:
    """Modules that Chainer imports only to look at its surroundings; they exist while Chainer is being imported."""
    system_info = _stand_in("numpy.distutils.system_info", get_info=_nothing)
    distutils = _stand_in("numpy.distutils", system_info=system_info, __path__=[])
    require: Callable[..., Any] = _nothing
    resources = _stand_in(
        "pkg_resources",
        require=require,
        DistributionNotFound=_DistributionNotFound,
        VersionConflict=_VersionConflict,
    )
    return {
        "numpy.distutils": distutils,
        "numpy.distutils.system_info": system_info,
        "pkg_resources": resources,
    }


@contextlib.contextmanager
def _surroundings_of_2022() -> Iterator[None]:
    from bokemodel.encoders import caffe_pb2

    stand_ins = _stand_ins()
    before = {name: sys.modules.get(name) for name in stand_ins}
    had_distutils = "distutils" in np.__dict__
    sys.modules.update(stand_ins)
    if not had_distutils:
        vars(np)["distutils"] = stand_ins["numpy.distutils"]
    # chainer.links.caffe.caffe_function looks here for its message types; it stays for good.
    package = _stand_in("chainer.links.caffe.protobuf3", caffe_pb2=caffe_pb2, __path__=[])
    sys.modules["chainer.links.caffe.protobuf3"] = package
    sys.modules["chainer.links.caffe.protobuf3.caffe_pb2"] = caffe_pb2
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module
        if not had_distutils:
            del vars(np)["distutils"]


add_numpy_aliases()
with _surroundings_of_2022():
    import chainer
    import chainer.functions as F
    import chainer.links as L
    import chainer.links.caffe

__all__ = ["NUMPY_ALIASES", "F", "L", "add_numpy_aliases", "chainer"]
