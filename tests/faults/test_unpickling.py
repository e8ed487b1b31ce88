"""Nothing that lies on a disk is ever unpickled: a pickle may call any function it names."""

from __future__ import annotations

import ast
import io
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from bokemodel.bundle import load_bundle
from bokemodel.encoders.torch_file import load_state_dict
from bokemodel.errors import BundleError, EncoderError
from tests.bundles import tiny_bundle

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("bot", "bokemodel", "store", "training")
ALLOWED = {"bokemodel/encoders/torch_file.py"}  # its unpickler knows four harmless names and refuses the rest
SUSPECT = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


class Malicious:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.mark,)


def sources() -> list[Path]:
    return [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) if "__pycache__" not in path.parts]


def test_no_module_unpickles() -> None:
    assert len(sources()) > 100
    for path in sources():
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom) and name not in ALLOWED:
                named = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not {part.split(".")[0] for part in named} & SUSPECT, name
            if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
                assert isinstance(node.value, ast.Constant), name
                assert node.value.value is False, name
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) not in ("torch.load", "pd.read_pickle"), name


@pytest.mark.parametrize("kind", ["npz", "pickle"])
def test_a_bundle_with_a_pickle_in_it_is_refused_and_nothing_runs(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    bundle = shutil.copytree(tiny_bundle(tmp_path), tmp_path / "bundle")
    out = io.BytesIO()
    if kind == "npz":
        np.savez(out, embed=np.array([Malicious(mark)], object))
    else:
        pickle.dump(Malicious(mark), out)
    (bundle / "decoder.npz").write_bytes(out.getvalue())
    with pytest.raises(BundleError):
        load_bundle(bundle)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Malicious(mark)))
    assert mark.exists()  # it does what it is feared for


def test_encoder_weights_with_a_foreign_name_in_them_are_refused(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(EncoderError):
        load_state_dict(tmp_path / "weights.pth")
    assert not mark.exists()
