"""EfficientNet-Lite0 computes what its published description computes, and knows what is in a photo."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from bokemodel.chainer_compat import chainer
from bokemodel.encoders.base import imagenet_classes
from bokemodel.encoders.efficientnet_lite0 import EfficientNetLite0
from bokemodel.encoders.efficientnet_weights import EfficientNetWeights, same_padding, weights_path
from bokemodel.encoders.files import sha256_of
from bokemodel.encoders.onnx_runtime import OnnxEncoder
from bokemodel.encoders.torch_file import load_state_dict
from bokemodel.errors import WeightsMissing, WeightsUnreadable
from bokemodel.pictures import open_file
from tests.bokemodel.encoders.conftest import difference, noise_pictures

PHOTOS = Path(__file__).parents[2] / "data"
# As published: r repeats, k kernel, s stride, e widening, i inputs, o outputs.
BLOCKS = (
    "r1_k3_s1_e1_i32_o16",
    "r2_k3_s2_e6_i16_o24",
    "r2_k5_s2_e6_i24_o40",
    "r3_k3_s2_e6_i40_o80",
    "r3_k5_s1_e6_i80_o112",
    "r4_k5_s2_e6_i112_o192",
    "r1_k3_s1_e6_i192_o320",
)
STAMPS = {
    "animals_amphibians_frog": "tailed frog",
    "animals_birds_penguin": "king penguin",
    "animals_birds_tucan": "toucan",
    "animals_birds_vulture": "vulture",
    "animals_insects_Brown_slug": "slug",
    "animals_mammals_apes_gorilla": "gorilla",
    "animals_mammals_aquatic_otter": "otter",
    "animals_mammals_badger": "badger",
    "animals_mammals_camel_dromedary": "Arabian camel",
    "animals_mammals_cats_tiger_sumatran": "tiger",
    "animals_mammals_dogs_dingo": "dingo",
    "animals_mammals_rodents_beaver": "beaver",
    "animals_mammals_rodents_squirrel": "fox squirrel",
    "animals_marsupials_wombat": "wombat",
    "hobbies_binoculars": "binoculars",
    "hobbies_music_string_guitar_electric": "electric guitar",
    "household_tools_hammer": "hammer",
    "medical_bandage_adhesive": "Band Aid",
    "medical_stethoscope": "stethoscope",
    "plants_mushrooms_cep-1": "bolete",
    "vehicles_cycle_pink_tricycle": "tricycle",
    "vehicles_flight_balloon360": "balloon",
}


class Published:
    """The network built from its description and the state dict alone: batch normalisation unfolded, padding ONNX's own."""

    def __init__(self) -> None:
        state = load_state_dict(weights_path())
        self.used: set[str] = set()
        nodes, weights = [], {"zero": np.float32(0), "six": np.float32(6)}

        def add(kind: str, inputs: list[str], **attributes: object) -> str:
            output = f"{len(nodes)}"
            nodes.append(helper.make_node(kind, inputs, [output], **attributes))
            return output

        def take(name: str) -> str:
            self.used.add(name)
            weights[name] = np.asarray(state[name], np.float32)
            return name

        def conv(x: str, name: str, norm: str, kernel: int, stride: int, groups: int = 1, relu6: bool = True) -> str:
            y = add(
                "Conv",
                [x, take(f"{name}.weight")],
                kernel_shape=[kernel, kernel],
                strides=[stride, stride],
                group=groups,
                auto_pad="SAME_UPPER",
            )
            parts = ("weight", "bias", "running_mean", "running_var")
            y = add("BatchNormalization", [y, *(take(f"{norm}.{part}") for part in parts)], epsilon=1e-3)
            return add("Clip", [y, "zero", "six"]) if relu6 else y

        h, index = conv("pictures", "_conv_stem", "_bn0", 3, 2), 0
        for block in BLOCKS:
            repeats, kernel, stride, widening, inputs, outputs = (
                int(part.lstrip("rkseio")) for part in block.split("_")
            )
            for _ in range(repeats):
                x, name = h, f"_blocks.{index}"
                if widening != 1:
                    h = conv(h, f"{name}._expand_conv", f"{name}._bn0", 1, 1)
                h = conv(h, f"{name}._depthwise_conv", f"{name}._bn1", kernel, stride, inputs * widening)
                h = conv(h, f"{name}._project_conv", f"{name}._bn2", 1, 1, relu6=False)
                if stride == 1 and inputs == outputs:
                    h = add("Add", [h, x])
                inputs, stride, index = outputs, 1, index + 1
        pooled = add("Flatten", [add("GlobalAveragePool", [conv(h, "_conv_head", "_bn1", 1, 1)])])
        scores = add("Gemm", [pooled, take("_fc.weight"), take("_fc.bias")], transB=1)
        self.left = {name for name in state if not name.endswith("num_batches_tracked")} - self.used
        graph = helper.make_graph(
            nodes,
            "published",
            [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, 224, 224])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", "m"]) for name in (pooled, scores)],
            [numpy_helper.from_array(np.asarray(array), name) for name, array in weights.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
        onnx.checker.check_model(model)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def __call__(self, pictures: list[Image.Image]) -> tuple[np.ndarray, np.ndarray]:
        """Vectors and class scores of pictures of 224 x 224."""
        x = (np.stack([np.asarray(picture, np.float32) for picture in pictures]) - 127) / 128
        features, scores = self.session.run(None, {"pictures": np.ascontiguousarray(x.transpose(0, 3, 1, 2))})
        return features, scores


@pytest.fixture(scope="module")
def published() -> Published:
    return Published()


@pytest.fixture(scope="module")
def encoder() -> EfficientNetLite0:
    return EfficientNetLite0()


def photo(path: Path) -> Image.Image:
    """The middle of a photo, at the size that enters the network unchanged."""
    picture = open_file(path)
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return picture.crop((left, top, left + side, top + side)).resize((224, 224), Image.Resampling.BICUBIC)


def test_the_description_uses_all_weights(published: Published) -> None:
    assert published.left == set()


def test_vectors_are_those_of_the_published_network(encoder: EfficientNetLite0, published: Published) -> None:
    pictures = [*noise_pictures(1, (224, 224)), *(photo(PHOTOS / f"{name}.jpg") for name in ("cat", "temple"))]
    features, scores = published(pictures)
    found = encoder.encode(pictures)
    assert found.shape == (len(pictures), encoder.dim) == (len(pictures), 1280)
    assert found.dtype == np.float32
    assert difference(found, features) < 1e-4
    assert difference(encoder.class_scores(found), scores) < 1e-4
    np.testing.assert_array_equal(encoder.class_scores(found).argmax(1), scores.argmax(1))


def test_without_shortcuts_chainer_gives_the_same(encoder: EfficientNetLite0) -> None:
    """With backpropagation every layer is Chainer's own."""
    pictures = noise_pictures(1, (224, 224))
    with chainer.using_config("train", False):
        reference = encoder.forward(encoder.preprocess(pictures))
    assert reference.creator is not None
    assert difference(encoder.encode(pictures), reference.array) < 1e-5


def test_top_1_on_many_photos(published: Published, shared_data: Path) -> None:
    """Some stamps and some photos of flickr8k: the published network's first choice is ours."""
    encoder = OnnxEncoder(EfficientNetWeights())
    paths = sorted((shared_data / "stamps" / "images").iterdir())[::12]
    paths += sorted((shared_data / "flickr8k" / "images").iterdir())[::80]
    pictures = [photo(path) for path in paths]
    expected = published(pictures)[1].argmax(1)
    np.testing.assert_array_equal(encoder.class_scores(encoder.encode(pictures)).argmax(1), expected)


@pytest.mark.parametrize(
    ("name", "classes"),
    [("cat", {"tabby", "tiger cat", "Egyptian cat"}), ("coffee", {"espresso"}), ("cameraman", {"tripod"})],
)
def test_photos_with_a_known_class(encoder: EfficientNetLite0, name: str, classes: set[str]) -> None:
    features = encoder.encode([open_file(PHOTOS / f"{name}.jpg")])
    assert imagenet_classes()[encoder.class_scores(features)[0].argmax()] in classes


def test_stamps_with_a_known_class(shared_data: Path) -> None:
    encoder = OnnxEncoder(EfficientNetWeights())
    features = encoder.encode([open_file(shared_data / "stamps" / "images" / f"{name}.jpg") for name in STAMPS])
    found = [imagenet_classes()[index] for index in encoder.class_scores(features).argmax(1)]
    assert dict(zip(STAMPS, found, strict=True)) == STAMPS


def test_a_picture_of_the_right_size_enters_unchanged(encoder: EfficientNetLite0) -> None:
    (picture,) = noise_pictures(1, (224, 224))
    entered = encoder.preprocess([picture])
    assert entered.shape == (1, 3, 224, 224)
    assert entered.dtype == np.float32
    np.testing.assert_array_equal(entered[0], (np.asarray(picture, np.float32).transpose(2, 0, 1) - 127) / 128)


@pytest.mark.parametrize(("width", "height"), [(448, 300), (300, 448), (100, 150)])
def test_other_pictures_are_scaled_and_cropped(encoder: EfficientNetLite0, width: int, height: int) -> None:
    """The short side goes straight to 224, then the centre is cut out."""
    (picture,) = noise_pictures(1, (width, height))
    short = min(width, height)
    scaled = picture.resize((round(width * 224 / short), round(height * 224 / short)), Image.Resampling.BICUBIC)
    left, top = (scaled.width - 224) // 2, (scaled.height - 224) // 2
    cropped = scaled.crop((left, top, left + 224, top + 224))
    np.testing.assert_array_equal(encoder.preprocess([picture]), encoder.preprocess([cropped]))


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (225, 224)])
def test_odd_sizes(encoder: EfficientNetLite0, size: tuple[int, int]) -> None:
    assert encoder.preprocess([Image.new("RGB", size, "teal")]).shape == (1, 3, 224, 224)


def test_a_batch_equals_singles(encoder: EfficientNetLite0) -> None:
    pictures = noise_pictures(3, (224, 224))  # one more than go through the network at once
    singles = np.concatenate([encoder.encode([picture]) for picture in pictures])
    assert difference(encoder.encode(pictures), singles) < 1e-5
    assert encoder.encode([]).shape == (0, 1280)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"),
    [
        (224, 3, 2, (0, 1)),
        (112, 3, 1, (1, 1)),
        (112, 3, 2, (0, 1)),
        (56, 5, 2, (1, 2)),
        (28, 3, 2, (0, 1)),
        (14, 5, 1, (2, 2)),
        (14, 5, 2, (1, 2)),
        (7, 3, 1, (1, 1)),
        (225, 3, 2, (1, 1)),
        (7, 1, 1, (0, 0)),
        (5, 1, 2, (0, 0)),
    ],
)
def test_same_padding(size: int, kernel: int, stride: int, padding: tuple[int, int]) -> None:
    """TensorFlow's: as many outputs as size / stride, rounded up, the odd pixel after."""
    assert same_padding(size, kernel, stride) == padding


def test_class_names() -> None:
    names = imagenet_classes()
    assert len(names) == 1000
    assert (names[0], names[281], names[950], names[999]) == ("tench", "tabby", "orange", "toilet tissue")


def test_digest(encoder: EfficientNetLite0) -> None:
    assert encoder.weights_digest == sha256_of(weights_path())


def test_weights_of_something_else(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing):
        EfficientNetLite0(tmp_path / "none.pth")
    (tmp_path / "text.pth").write_text(json.dumps({"weights": []}))
    with pytest.raises(WeightsUnreadable):
        EfficientNetLite0(tmp_path / "text.pth")
