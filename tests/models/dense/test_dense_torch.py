"""Dense networks give the losses and all gradients of PyTorch, under the same names."""

from __future__ import annotations

from typing import Any

import dense_cases
import needs
import numpy as np
import pytest

from involution_edu.bench.torch_networks import module, unit
from involution_edu.models import dense
from involution_edu.models.dense import rcnn, rcnn_heads

torch = needs.package("torch")

import torch_dense
from torch_reference import load

torch.set_num_threads(1)
WIDTHS = [16, 32, 64, 128]


def twin_of(model: dense.DenseNetwork, case: str) -> Any:
    """Return the network in PyTorch, with the weights of ours, its output and its loss function.

    The output is what comes before proposals and detections; of R-CNNs, that of the RPN.
    """
    neck = head = "conv"
    if "inv" in case or "mask" in case:
        neck = "inv"
    if case == "mask r-cnn, inv":
        head = "inv"
    parts: dict[str, Any] = {"backbone": torch_dense.backbone(dense_cases.WIDTH)}

    def features(x: Any) -> list[Any]:
        found = parts["backbone"].features(x)
        return [found[f"layer{i}"] for i in (1, 2, 3, 4)]

    def pixels(logits: Any, target: Any) -> Any:
        return torch.nn.functional.cross_entropy(logits, torch.tensor(target), ignore_index=255)

    if isinstance(model, dense.SemanticFPN):
        channels = 8 if neck == "conv" else 128
        parts["neck"] = torch_dense.fpn(WIDTHS, 16, neck, "pool", 4)
        parts["decode_head"] = torch_dense.fpn_head(4, 16, channels, 3)

        def output(x: Any) -> Any:
            return torch_dense.bilinear(
                parts["decode_head"](parts["neck"](features(x))), x.shape[2:]
            )

        def loss(x: Any, target: Any) -> Any:
            return pixels(output(x), target)

    elif isinstance(model, dense.UPerNet):
        parts["decode_head"] = torch_dense.uper_head(WIDTHS, 16, 3)
        convs = torch.nn.ModuleList([unit(64, 8, 3)])
        seg = torch.nn.Conv2d(8, 3, 1)
        parts["auxiliary_head"] = module(lambda x: seg(convs[0](x)), convs=convs, conv_seg=seg)

        def output(x: Any) -> Any:
            return torch_dense.bilinear(parts["decode_head"](features(x)), x.shape[2:])

        def loss(x: Any, target: Any) -> Any:
            auxiliary = torch_dense.bilinear(parts["auxiliary_head"](features(x)[2]), x.shape[2:])
            return pixels(output(x), target) + 0.4 * pixels(auxiliary, target)

    elif isinstance(model, dense.RetinaNet):
        parts["neck"] = torch_dense.fpn(WIDTHS[1:], 16, neck, "conv", 5)
        parts["bbox_head"] = torch_dense.retina_head(16, 2, 2 if neck == "conv" else 1)

        def output(x: Any) -> Any:
            return parts["bbox_head"](parts["neck"](features(x)[1:]))

        def loss(x: Any, target: Any) -> Any:
            return torch_dense.anchor_losses(model.bbox_head, output(x), target)

    else:
        assert isinstance(model, dense.FasterRCNN)
        parts["neck"] = torch_dense.fpn(WIDTHS, 16, neck, "pool", 5)
        parts["rpn_head"] = torch_dense.rpn_head(16, head)
        roi = {"bbox_head": torch_dense.box_head(16, 8, 2)}
        if model.masks:
            roi["mask_head"] = torch_dense.mask_head(16, 2, head)
        parts["roi_head"] = module(lambda x: x, **roi)

        def output(x: Any) -> Any:
            return parts["rpn_head"](parts["neck"](features(x)))

        def loss(x: Any, target: Any) -> Any:
            levels = parts["neck"](features(x))
            y = parts["rpn_head"](levels)
            first = torch_dense.anchor_losses(model.rpn_head, y, target)
            return first + torch_dense.second_losses(model, twin, levels, target)

    twin = module(output, **parts).double()
    return load(twin, model.state_dict()), loss


def output_of(model: Any, x: Any) -> Any:
    if isinstance(model, dense.FasterRCNN):
        return model.rpn_head(model.neck(model.features(x)))
    return model(x)


@pytest.mark.parametrize("case", dense_cases.CASES)
@pytest.mark.parametrize(
    ("dtype", "size", "near"),
    [(np.float64, (19, 26), 1e-9), (np.float64, (16, 24), 1e-9), (np.float32, (19, 26), 1e-4)],
    ids=str,
)
def test_outputs_losses_and_gradients_are_those_of_pytorch(
    case: str, dtype: Any, size: tuple[int, int], near: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rcnn_heads, "PROPOSALS", 12)
    monkeypatch.setattr(rcnn_heads.RPNHead, "sampled", 10**6)
    monkeypatch.setattr(rcnn_heads, "FINEST_SIZE", 5)  # so that boxes use several levels
    monkeypatch.setattr(rcnn, "SAMPLED", 20)
    model = dense_cases.make(case, dtype)
    twin, loss = twin_of(model, case)
    twin.to(torch.float32 if dtype == np.float32 else torch.float64)
    x, targets = dense_cases.image(2, *size, dtype), dense_cases.targets(case, *size)
    y, want_y = output_of(model, x), twin(torch.tensor(x)).detach().numpy()
    assert y.dtype == want_y.dtype == dtype
    np.testing.assert_allclose(y, want_y, rtol=0, atol=near * abs(want_y).max())
    losses = model.loss(x, targets)
    dx = model.loss_backward()
    tx = torch.tensor(x, requires_grad=True)
    total = loss(tx, targets)
    assert sum(losses.values()) == pytest.approx(total.item(), rel=near)
    assert all(value > 0 for value in losses.values())
    total.backward()
    found = {name: p.grad for name, p in model.named_parameters().items()} | {"x": dx}
    want = {name: p.grad.numpy() for name, p in twin.named_parameters()} | {"x": tx.grad.numpy()}
    assert found.keys() == want.keys()
    # PyTorch's float32 is itself up to 6e-5 from its float64, in other directions on each processor.
    twin.double().zero_grad()
    exact_x = torch.tensor(x, requires_grad=True, dtype=torch.float64)
    loss(exact_x, targets).backward()
    exact = {name: p.grad.numpy() for name, p in twin.named_parameters()}
    exact["x"] = exact_x.grad.numpy()
    largest = max(abs(a).max() for a in want.values())
    for name, a in want.items():
        assert abs(a).max() > 0, name
        # Some are nearly 0: of biases before BatchNorm, and of BatchNorm of two values (UPerNet).
        scale = max(abs(a).max(), 300 * near * largest)
        error = min(abs(found[name] - truth).max() for truth in (a, exact[name]))
        assert error <= near * scale, name
