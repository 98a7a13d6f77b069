"""RedNet and ResNet: names, sizes, initial weights and errors."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import models, nn
from involution_edu.models.rednet import BLOCKS, conv3x3
from involution_edu.nn.arguments import kaiming_normal

DEPTHS = 26, 38, 50, 101, 152


@pytest.mark.parametrize(
    ("depth", "keys", "parameters"),
    [
        (26, 251, 9_233_166),
        (38, 351, 12_386_986),
        (50, 451, 15_540_806),
        (101, 876, 25_652_950),
        (152, 1301, 33_984_582),
    ],
)
def test_every_rednet_has_the_keys_and_parameters_of_its_checkpoint(
    depth: int, keys: int, parameters: int
) -> None:
    model = getattr(inv.models, f"rednet{depth}")(rng=0)
    assert len(model.state_dict()) == keys
    assert sum(p.data.size for p in model.parameters()) == parameters


def test_the_names_are_those_of_the_authors_checkpoints() -> None:
    shapes = {name: a.shape for name, a in models.rednet26(rng=0).state_dict().items()}
    norm = "weight", "bias", "running_mean", "running_var", "num_batches_tracked"
    expected: dict[str, tuple[int, ...]] = {"fc.weight": (1000, 2048), "fc.bias": (1000,)}

    def expect_norm(name: str, channels: int) -> None:
        expected.update({f"{name}.{part}": (channels,) for part in norm[:4]})
        expected[f"{name}.{norm[4]}"] = ()

    def expect_involution(name: str, channels: int, window: int) -> None:
        spanned = window * window * channels // 16
        expected[f"{name}.conv1.conv.weight"] = (channels // 4, channels, 1, 1)
        expected[f"{name}.conv2.conv.weight"] = (spanned, channels // 4, 1, 1)
        expected[f"{name}.conv2.conv.bias"] = (spanned,)
        expect_norm(f"{name}.conv1.bn", channels // 4)

    expected["stem.0.conv.weight"] = (32, 3, 3, 3)
    expected["stem.4.conv.weight"] = (64, 32, 3, 3)
    expect_norm("stem.0.bn", 32)
    expect_involution("stem.1", 32, 3)
    expect_norm("stem.2", 32)
    expect_norm("stem.4.bn", 64)
    before = 64
    for stage, (mid, blocks) in enumerate(zip((64, 128, 256, 512), (1, 2, 4, 1), strict=True), 1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            expected[f"{name}.conv1.weight"] = (mid, before, 1, 1)
            expected[f"{name}.conv3.weight"] = (4 * mid, mid, 1, 1)
            expect_involution(f"{name}.conv2", mid, 7)
            for number, channels in ((1, mid), (2, mid), (3, 4 * mid)):
                expect_norm(f"{name}.bn{number}", channels)
            if block == 0:
                expected[f"{name}.downsample.0.weight"] = (4 * mid, before, 1, 1)
                expect_norm(f"{name}.downsample.1", 4 * mid)
            before = 4 * mid
    assert shapes == expected


@pytest.mark.parametrize("make", [models.rednet26, models.resnet26, models.small_rednet])
def test_weights_are_initialised_as_by_the_authors(make: Any) -> None:
    model, twin, other = make(10, rng=3), make(10, rng=3), make(10, rng=4)
    other_state = other.state_dict()
    for name, parameter in model.named_parameters().items():
        np.testing.assert_array_equal(parameter.data, twin.named_parameters()[name].data)
        if parameter.data.ndim == 4:
            out_channels, _, k_h, k_w = parameter.data.shape
            std = np.sqrt(2 / (out_channels * k_h * k_w))
            slack = 5 / np.sqrt(2 * parameter.data.size)  # five standard deviations
            assert parameter.data.std() == pytest.approx(std, rel=slack), name
            assert (parameter.data != other_state[name]).any(), name
        elif parameter.data.ndim == 1:
            start = 1 if name.endswith("weight") and not name.endswith("bn3.weight") else 0
            np.testing.assert_array_equal(parameter.data, start, err_msg=name)


@pytest.mark.parametrize("family", ["rednet", "resnet"])
@pytest.mark.parametrize("depth", DEPTHS)
def test_the_named_networks_pass_their_arguments_on(
    family: str, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replace the network by its arguments, since five of the ten take seconds to make."""

    def arguments(*given: Any, **options: Any) -> Any:
        return given, options

    monkeypatch.setattr(sys.modules[conv3x3.__module__], "ResidualNetwork", arguments)
    rng, named = np.random.default_rng(3), f"{family}{depth}"
    make: Any = models.MODELS[named]
    (stem, _, blocks, _, channels, num_classes), options = make(7, rng=rng, dtype=np.float64)
    assert getattr(models, named) is make
    assert (blocks, channels, num_classes) == (BLOCKS[depth], 64, 7)
    assert options == {"rng": rng, "dtype": np.float64}
    (_, weight), *_ = nn.Sequential(*stem.values()).named_parameters().items()
    assert weight.data.dtype == np.float64
    first = kaiming_normal(np.random.default_rng(3), weight.data.shape, np.float64)
    np.testing.assert_array_equal(weight.data, first)


@pytest.mark.parametrize(
    "make",
    [
        partial(models.small_rednet, 3),
        partial(models.small_resnet, 3),
        models.EdgeDenoiser,
        partial(models.Bottleneck, 8, 4, conv3x3, stride=2),
        partial(models.Bottleneck, 16, 4, conv3x3, stride=2),
    ],
)
def test_every_weight_has_the_seed_and_the_dtype(make: Any) -> None:
    model, twin, other = (make(rng=seed, dtype=np.float64) for seed in (3, 3, 4))
    for name, parameter in model.named_parameters().items():
        assert parameter.data.dtype == np.float64, name
        np.testing.assert_array_equal(parameter.data, twin.named_parameters()[name].data)
        if parameter.data.ndim == 4:
            assert (parameter.data != other.named_parameters()[name].data).any(), name
    first = [p.data.flat[0] for p in model.parameters() if p.data.ndim == 4]
    assert len({*first}) == len(first)  # one generator, not the same seed for every layer


def test_a_block_of_equal_channels_and_stride_2_has_a_shortcut() -> None:
    block = models.Bottleneck(16, 4, conv3x3, stride=2, rng=0, dtype=float).eval()
    x = np.random.default_rng(0).standard_normal((2, 16, 5, 6))
    weight = block.downsample.state_dict()["0.weight"][:, :, 0, 0]
    shortcut = np.einsum("oc,nchw->nohw", weight, x[:, :, ::2, ::2]) / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(block(x), np.maximum(shortcut, 0), atol=1e-12)  # bn3 starts at 0
    assert block.backward(np.ones((2, 16, 3, 3))).shape == x.shape


def test_a_new_block_is_the_identity_and_relu() -> None:
    block = models.Bottleneck(32, 8, conv3x3, rng=0, dtype=float)
    x = np.random.default_rng(0).standard_normal((2, 32, 4, 5))
    np.testing.assert_array_equal(block(x), np.maximum(x, 0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [models.rednet26, models.resnet26])
def test_every_stage_halves_the_image_and_rounds_up(make: Any, dtype: Any) -> None:
    model = make(7, rng=0, dtype=dtype).eval()
    x = np.random.default_rng(0).standard_normal((1, 3, 33, 70)).astype(dtype)
    features = model.features(x)
    assert {name: a.shape for name, a in features.items()} == {
        "stem": (1, 64, 17, 35),
        "layer1": (1, 256, 9, 18),
        "layer2": (1, 512, 5, 9),
        "layer3": (1, 1024, 3, 5),
        "layer4": (1, 2048, 2, 3),
    }
    logits = model(x)
    assert logits.shape == (1, 7)
    assert {a.dtype for a in (*features.values(), logits)} == {np.dtype(dtype)}
    assert {a.dtype for n, a in model.state_dict().items() if "num_batches" not in n} == {
        np.dtype(dtype)
    }


def test_the_small_networks_differ_only_in_the_spatial_layer() -> None:
    rednet = models.small_rednet(4, 3, blocks=(2, 1), rng=0).state_dict()
    resnet = models.small_resnet(4, 3, blocks=(2, 1), rng=0).state_dict()

    def others(state: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        return {name: a.shape for name, a in state.items() if ".conv2." not in name}

    assert others(rednet) == others(resnet)
    spatial = {name for name in resnet if ".conv2." in name}
    assert spatial == {f"layer{i}.{b}.conv2.weight" for i, b in ((1, 0), (1, 1), (2, 0))}


@pytest.mark.parametrize("size", [(8, 8), (9, 12), (64, 64)])
@pytest.mark.parametrize("make", [models.small_rednet, models.small_resnet])
def test_small_networks_take_small_images(make: Any, size: tuple[int, int]) -> None:
    model = make(10, rng=0)
    x = np.random.default_rng(0).standard_normal((2, 1, *size)).astype(np.float32)
    assert model(x).shape == (2, 10)
    dx = model.backward(np.ones((2, 10), np.float32))
    assert dx.shape == x.shape
    assert np.isfinite(dx).all()


def test_the_options_of_the_small_rednet_reach_its_involutions() -> None:
    model = models.small_rednet(2, kernel_size=(3, 5), group_channels=4, reduction=2, channels=8)
    found = [m for _, m in model.named_modules() if isinstance(m, nn.Involution2d)]
    assert [(m.window, m.groups, m.channels, m.stride) for m in found] == [
        ((3, 5), 2, 8, (1, 1)),
        ((3, 5), 4, 16, (2, 2)),
        ((3, 5), 8, 32, (2, 2)),
    ]
    assert [m.conv2.state_dict()["conv.weight"].shape[1] for m in found] == [4, 8, 16]


def test_errors_name_the_argument() -> None:
    with pytest.raises(ValueError, match=r"^depth is 34; need one of 26, 38, 50, 101, 152$"):
        models.rednet(34)
    with pytest.raises(ValueError, match=r"^num_classes is 0; need an int >= 1$"):
        models.small_rednet(0)
    with pytest.raises(ValueError, match=r"^blocks\[1\] is 0; need an int >= 1$"):
        models.small_resnet(3, blocks=(1, 0))
    with pytest.raises(
        ValueError, match=r"^group_channels is 16; need a divisor of the 8 channels"
    ):
        models.small_rednet(3, channels=8)
    model = models.small_rednet(3, 3, rng=0)
    with pytest.raises(ValueError, match=r"^x has shape \(1, 1, 8, 8\); need .* with C = 3$"):
        model(np.zeros((1, 1, 8, 8), np.float32))
    with pytest.raises(TypeError, match=r"^x has dtype float64; need float32, the dtype of the"):
        model(np.zeros((1, 3, 8, 8)))
    features = model.features(np.ones((2, 3, 8, 8), np.float32))
    for wrong in ({}, {"layer9": features["layer1"]}):
        with pytest.raises(
            ValueError, match=r"^dfeatures has the keys .* need some of 'stem', 'la"
        ):
            model.features_backward(wrong)
    with pytest.raises(ValueError, match=r"^dy has shape .* need the shape of the output of ReLU"):
        model.features_backward({"layer1": features["layer2"]})
