"""Chainer of 2022 on today's numpy: everything it misses is stood in for, and no stand-in stays behind."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bokemodel import chainer_compat
from bokemodel.chainer_compat import NUMPY_ALIASES, F, L, chainer
from bokemodel.encoders import caffe_pb2

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("bot", "bokemodel", "training", "store", "benchmarks")
COMPAT = Path(chainer_compat.__file__)

# Runs chainer_compat with one entry left out of its tables, then what needs the tables.
WITHOUT = """
import ast, sys, types
path, left_out = sys.argv[1:]
tree = ast.parse(open(path, encoding="utf-8").read())
for node in ast.walk(tree):
    if isinstance(node, ast.Dict):
        kept = [(k, v) for k, v in zip(node.keys, node.values) if getattr(k, "value", None) != left_out]
        node.keys, node.values = [k for k, _ in kept], [v for _, v in kept]
module = types.ModuleType("bokemodel.chainer_compat")
sys.modules["bokemodel.chainer_compat"] = module
exec(compile(tree, path, "exec"), module.__dict__)
import numpy
x = numpy.zeros((1, 1, 4, 4), numpy.float32)
module.F.resize_images(x, (2, 2))
y = module.chainer.Variable(x[0, 0])
module.F.sum(module.F.as_strided(y, (2, 2), (4, 1))).backward()
module.L.Linear(2, 2)(x.reshape(8, 2))
"""


def names_missing_from_numpy() -> set[str]:
    """What Chainer's source asks numpy for, and numpy does not have by itself."""
    asked: set[str] = set()
    for path in Path(chainer.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            owner = getattr(node, "value", None)
            if isinstance(node, ast.Attribute) and getattr(owner, "id", None) in ("np", "numpy", "xp"):
                asked.add(node.attr)
    program = "import sys, numpy; print(*(n for n in sys.argv[1:] if not hasattr(numpy, n)))"
    return set(run(program, *sorted(asked)).stdout.split())


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_every_name_that_chainer_misses_has_an_alias() -> None:
    """`distutils` is a module, which `_environment_check` imports."""
    missing = names_missing_from_numpy()
    assert {"float", "sctypes"} <= missing  # the scan finds what is known
    assert missing - {"distutils"} <= NUMPY_ALIASES.keys()


@pytest.mark.parametrize("name", sorted(NUMPY_ALIASES))
def test_aliases_are_in_place(name: str) -> None:
    assert hasattr(np, name)


def test_aliases_mean_what_numpy_meant() -> None:
    assert np.dtype(NUMPY_ALIASES["float"]) == np.float64
    assert NUMPY_ALIASES["asscalar"](np.array([3])) == 3
    assert NUMPY_ALIASES["product"]([2, 3]) == 6
    assert [np.dtype(kind).itemsize for kind in NUMPY_ALIASES["sctypes"]["int"]] == [1, 2, 4, 8]


def test_names_that_numpy_has_are_left_alone() -> None:
    """numpy 2 has its own `bool`, which is not Python's."""
    program = "import numpy; before = numpy.bool; import bokemodel.chainer_compat; print(numpy.bool is before)"
    assert run(program).stdout.strip() == "True"


def test_nothing_left_out_works() -> None:
    done = run(WITHOUT, str(COMPAT), "nothing")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("left_out", ["float", "sctypes", "pkg_resources", "numpy.distutils.system_info"])
def test_each_alias_is_needed(left_out: str) -> None:
    done = run(WITHOUT, str(COMPAT), left_out)
    assert done.returncode != 0
    assert left_out.split(".")[-1] in done.stderr


def test_stand_ins_are_gone_after_the_import() -> None:
    program = """
import sys
before = {name: sys.modules.get(name) for name in ("pkg_resources", "numpy.distutils", "numpy.distutils.system_info")}
import bokemodel.chainer_compat, numpy
for name, module in before.items():
    assert sys.modules.get(name) is module, name
assert "Stand-in" not in (getattr(numpy.__dict__.get("distutils"), "__doc__", None) or "")
try:
    import pkg_resources
except ImportError:
    pass
else:
    assert "Stand-in" not in pkg_resources.__doc__
print("clean")
"""
    done = run(program)
    assert done.stdout.strip() == "clean", done.stderr


def test_what_is_used_of_chainer_works() -> None:
    x = chainer.Variable(np.random.default_rng(0).standard_normal((4, 6), np.float32))
    loss = F.softmax_cross_entropy(L.Linear(6, 3)(x), np.array([0, 1, 2, -1], np.int32))
    loss.backward()
    assert np.isfinite(x.grad).all()


def test_caffe_files_are_read_with_messages_of_today() -> None:
    """Chainer's own are too old for current protobuf."""
    assert chainer.links.caffe.caffe_function.caffe_pb is caffe_pb2
    assert caffe_pb2.NetParameter.FromString(b"\x0a\x02ab").name == "ab"


def test_only_one_file_imports_chainer() -> None:
    found = []
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                if any(name.split(".")[0] in ("chainer", "chainerx", "onnx_chainer") for name in names):
                    found.append(path.relative_to(ROOT).as_posix())
    assert sorted(set(found)) == ["bokemodel/chainer_compat.py"]


def test_the_import_is_quiet() -> None:
    """Chainer warns of its surroundings in four ways; none is of use to anybody."""
    done = run("import bokemodel.chainer_compat")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
