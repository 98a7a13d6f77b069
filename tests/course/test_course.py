"""The checks of the exercises: right answers pass, wrong ones are named."""

from __future__ import annotations

import copy
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import course
from involution_edu.course import EXERCISES, Exercise, judge
from involution_edu.course.compare import same
from involution_edu.course.exercise import Mistake, both
from involution_edu.nn import BatchNorm2d, Conv2d, Involution2d

MISTAKES = [
    pytest.param(exercise, mistake, id=f"{exercise.name}-{mistake.name}")
    for exercise in EXERCISES.values()
    for mistake in exercise.mistakes
    if exercise.quick is None  # its table is that of another exercise
]
ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES)


@ALL
def test_the_right_answer_passes(exercise: Exercise) -> None:
    assert judge(exercise, exercise.right, seed=3).ok


def test_right_answers_are_those_of_the_package() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        answers: dict[str, Any] = {
            "involution": inv.involution,
            "backward_input": lambda dy, x, kernel: inv.involution_backward(dy, x, kernel)[0],
            "backward_kernel": lambda dy, x, kernel: inv.involution_backward(dy, x, kernel)[1],
        }
        for name, answer in answers.items():
            for arguments in EXERCISES[name].cases(rng):
                np.testing.assert_allclose(
                    EXERCISES[name].right(*arguments), answer(*arguments), atol=1e-12
                )
    for x, weight in EXERCISES["convolve"].cases(rng):
        out_channels, in_channels, K, _ = weight.shape
        conv = Conv2d(in_channels, out_channels, K, padding="same", bias=False, dtype=float)
        conv.weight.data[...] = weight
        np.testing.assert_allclose(EXERCISES["convolve"].right(x, weight), conv(x[None])[0])
    for C, K, C_g, r in EXERCISES["layer_parameters"].cases(rng):
        layer = Involution2d(C, K, group_channels=C_g, reduction=r, rng=0)
        counted = sum(parameter.data.size for parameter in layer.parameters())
        assert EXERCISES["layer_parameters"].right(C, K, C_g, r) == counted


@pytest.mark.parametrize(("exercise", "mistake"), MISTAKES)
def test_a_mistake_is_found_and_named(exercise: Exercise, mistake: Mistake) -> None:
    verdict = judge(exercise, mistake.answer)
    assert not verdict.ok
    assert mistake.hint in verdict.text.partition("The likely mistake")[2]


def _differ(exercise: Exercise, answer: Any, *mistakes: Mistake) -> bool:
    """Return whether an answer with two mistakes runs, and gives what neither of them does."""
    (*arguments,) = next(exercise.cases(np.random.default_rng(0)))
    try:
        results = [f(*copy.deepcopy(arguments)) for f in (answer, *(m.answer for m in mistakes))]
    except Exception:  # noqa: BLE001
        return False
    return not any(same(results[0], other) for other in results[1:])


@ALL
def test_two_mistakes_at_once_are_said_to_be_two(exercise: Exercise) -> None:
    """Nearly always: some pairs equal a third mistake, and two even cancel each other."""
    rng = np.random.default_rng(0)
    pairs = [(a, b, both(a, b)) for a, b in combinations(exercise.mistakes, 2)]
    possible = [(a, b, answer) for a, b, answer in pairs if answer is not None]
    order = rng.permutation(len(possible))
    named: list[bool] = []
    for one, other, answer in (possible[k] for k in order):
        if len(named) == 4:
            break
        if not _differ(exercise, answer, one, other):
            continue
        text = judge(exercise, answer).text
        named.append((one.hint in text and other.hint in text) or "Two mistakes at once" in text)
    assert named.count(False) <= 1


@ALL
def test_a_slow_answer_is_called_few_times(exercise: Exercise) -> None:
    """Not again for each of the mistakes: loops over pixels are slow."""
    calls = []

    def answer(*arguments: Any) -> Any:
        calls.append(arguments)
        return np.float64(1e9) * np.ones_like(exercise.right(*arguments))

    assert not judge(exercise, answer).ok
    assert len(calls) == len(list(exercise.cases(np.random.default_rng(0))))


@ALL
def test_an_answer_that_is_not_written_yet(exercise: Exercise) -> None:
    verdict = judge(exercise, lambda *_: ...)
    assert not verdict.ok
    assert verdict.text.endswith("it returned nothing yet")


@ALL
def test_a_wrong_answer_can_be_seen(exercise: Exercise) -> None:
    """Also one of another shape, and one that raises."""
    wrong: list[Any] = [lambda *_: 1 / 0, lambda *_: np.zeros((2, 1)), lambda *_: "a"]
    wrong += [lambda *a: np.full(np.shape(exercise.right(*a)), np.inf), exercise.mistakes[0].answer]
    for answer in wrong:
        titles = [axes.get_title() for axes in judge(exercise, answer).show().axes[:-1]]
        assert titles[-1].startswith("right (")
    assert len(titles) >= 2
    assert judge(exercise, exercise.right).ok


def test_the_first_wrong_number_is_shown_with_what_it_is_made_of() -> None:
    def involution(x: Any, kernel: Any) -> Any:
        return np.pad(loops(x, kernel), ((0, 0), (0, 0), (1, 0), (0, 0)))[:, :, :-1]

    verdict = course.check(involution)
    assert isinstance(verdict, course.Verdict)
    assert verdict.index == (0, 0, 0, 0)
    x, kernel = verdict.arguments
    axes = {ax.get_title(): [float(t.get_text()) for t in ax.texts] for ax in verdict.show().axes}
    assert axes["kernel (3 × 3)"] == kernel[0, 0, :, :, 0, 0].ravel().tolist()
    assert sum(axes["products (3 × 3)"]) == axes["right (1 × 1)"][0] == verdict.want[0, 0, 0, 0]
    assert axes["yours (1 × 1)"] == [0]
    assert axes["window (3 × 3)"] == np.pad(x[0, 0], 1)[:3, :3].ravel().tolist()


def test_the_first_wrong_index_is_named() -> None:
    def involution(x: Any, kernel: Any) -> Any:
        y = loops(x, kernel)
        y[0, 0, 1, 2] += 1
        return y

    text = course.check(involution).text
    assert text.startswith("Not yet: for involution(x (1, 1, 3, 4), kernel (1, 1, 3, 3, 3, 4))\n")
    assert "[0, 0, 1, 2] is " in text
    assert "more of" not in text


def test_what_else_can_go_wrong() -> None:
    wrong = {
        lambda C, G: 1 / 0: "it raised ZeroDivisionError: division by zero",
        lambda C, G: [0]: "its shape is (1,); need (4,)",
        lambda C, G: ["a"] * C: "it returned ['a', 'a', 'a', 'a']; need [0, 0, 1, 1]",
        lambda C, G: [[0], 1]: "it returned [[0], 1]; need [0, 0, 1, 1]",
        lambda C, G: np.full(C, np.nan): "[0] is nan; need 0, and 3 more of 4 are wrong",
    }
    for answer, message in wrong.items():
        assert message in judge(EXERCISES["groups"], answer).text


def test_small_changes_of_the_right_answer_are_named() -> None:
    """In no table: a return too early, H for W, a name for another."""

    def apply(kernel: Any, window: Any) -> Any:
        total = 0
        for u, v in np.ndindex(kernel.shape):
            total += kernel[u, v] * window[u, v]
            if v == len(kernel) - 1:
                return total
        return None

    assert "`return total` is inside the loop over u" in course.check(apply).text
    for name, answer, words in (
        ("pixel_of_thread", lambda t, C, H, W: (t // (C * H * W), t // H // W % C, t // W % W, t % W),
         "`t // W % W` where `t // W % H` is right"),
        ("halo", lambda rows, columns, K: (rows + K - 1) * (columns + K) / (rows * columns),
         "where `(rows + K - 1) * (columns + K - 1)` is right"),
        ("groups", lambda C, G: print([c // (C // G) for c in range(C)]), "print only shows a result"),
    ):  # fmt: skip
        assert words in judge(EXERCISES[name], answer).text


def test_an_argument_that_is_changed_is_named() -> None:
    def involution(x: Any, kernel: Any) -> Any:
        y = loops(x, kernel)
        kernel[...] = 0
        return y

    assert "it changed its argument kernel; work on a copy" in course.check(involution).text


def test_an_error_comes_with_the_line_that_raised_it_and_a_hint() -> None:
    def apply(kernel: Any, window: Any) -> Any:
        size = len(kernel) / 2
        return sum(window[k, 0] for k in range(size))  # type: ignore[call-overload]

    lines = course.check(apply).text.splitlines()
    assert lines[1].startswith("it raised TypeError: 'float' object cannot be interpreted")
    assert "return sum(window[k, 0] for k in range(size))" in lines[2]
    assert lines[3] == "/ gives a float, even if it divides evenly: use //."


def test_numbers_are_written_so_that_they_differ() -> None:
    right = EXERCISES["full_filter_parameters"].right
    text = judge(
        EXERCISES["full_filter_parameters"], lambda *sizes: right(*sizes) + (sizes[0] > 9)
    ).text
    assert "the result is 526849; need 526848" in text
    text = judge(EXERCISES["apply"], lambda k, w: np.float32((k * w).sum())).text
    one, other = text.splitlines()[1].removeprefix("the result is ").split("; need ")
    assert one != other
    assert "float32" in text


def loops(
    x: Any,
    kernel: Any,
    group_of: Any = lambda c, C, G: c * G // C,
    h_of: Any = lambda i, u, p: i + u - p,
    inside: Any = lambda h, H: 0 <= h < H,
) -> Any:
    (N, C, H, W), (G, K) = x.shape, kernel.shape[1:3]
    y = np.zeros_like(x)
    for n, c, i, j, u, v in np.ndindex(N, C, H, W, K, K):
        h, w = h_of(i, u, K // 2), h_of(j, v, K // 2)
        if inside(h, H) and inside(w, W):
            y[n, c, i, j] += kernel[n, group_of(c, C, G), u, v, i, j] * x[n, c, h, w]
    return y


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ({"h_of": lambda i, u, p: i + u}, "starts at the pixel"),
        ({"inside": lambda h, H: h < H}, "counts from the end"),
        ({"group_of": lambda c, C, G: c // G}, "c // G"),
        ({"h_of": lambda i, u, p: i + u - 1}, "p is 1 only for K = 3"),
    ],
    ids=["corner", "negative index", "wrong division", "p is 1"],
)
def test_loops_as_a_learner_writes_them(wrong: dict[str, Any], hint: str) -> None:
    """Two of them raise IndexError in some cases; their results in the others identify them."""
    verdict = judge(EXERCISES["involution"], lambda x, kernel: loops(x, kernel, **wrong))
    assert not verdict.ok
    assert hint in verdict.text


RIGHT = EXERCISES["involution"].right


@pytest.mark.parametrize(
    ("answer", "words"),
    {
        (lambda x, kernel: RIGHT(x, kernel).transpose(0, 2, 3, 1)): "(image, row, column, channel)",
        (lambda x, kernel: RIGHT(x, kernel)[..., ::-1]): "reversed along: column",
        (lambda x, kernel: 2 * RIGHT(x, kernel)): "2 times what it should be",
        (lambda x, kernel: RIGHT(x, kernel) / kernel.shape[2]): "has to be multiplied by K",
        (lambda x, kernel: RIGHT(x, kernel) + 1): "too large by 1",
        (lambda x, kernel: RIGHT(x, kernel).astype(int)): "an array of integers drops them",
        (lambda x, kernel: np.cumsum(RIGHT(x, kernel), 3)): "goes on along column",
        (lambda x, kernel: x + RIGHT(x, kernel)): "but for x, which is added once too often",
        (lambda x, kernel: RIGHT(x[..., ::-1], kernel)): "with x reversed along axis 3",
        (lambda x, kernel: 0 * x): "The result is 0 everywhere",
        (lambda x, kernel: x / 0): "NaN or infinity",
        (lambda x, kernel: RIGHT(x, kernel)[0]): "The image axis is missing",
        (lambda x, kernel: np.pad(RIGHT(x, kernel), 1)[1:-1, 1:-1]): "A margin is left around",
    }.items(),
)
def test_mistakes_in_no_table_are_described(answer: Any, words: str) -> None:
    assert words in judge(EXERCISES["involution"], answer).text


def test_what_wrong_numbers_have_in_common() -> None:
    def border(x: Any, kernel: Any) -> Any:
        y, p = RIGHT(x, kernel), kernel.shape[2] // 2
        y[..., :p] *= 1.5
        return y

    assert "Only pixels at the border are wrong" in judge(EXERCISES["involution"], border).text
    text = judge(EXERCISES["pixel_of_thread"], lambda t, C, H, W: (t // (C * H * W), 1, 1, 1)).text
    assert "Only" not in text
    text = judge(
        EXERCISES["output_size"], lambda H, K, s, p, d: (H + 2 * p - K + 1) // s + d - 1
    ).text
    assert "The likely mistake" not in text


@pytest.mark.parametrize(
    "wrong", [(H, K, s, p, d) for H, K, s, p, d in [(6, 3, 2, 1, 1), (8, 3, 2, 0, 1)]]
)
def test_rounding_is_not_taken_for_division(wrong: tuple[int, ...]) -> None:
    cases = list(EXERCISES["output_size"].cases(np.random.default_rng(0)))
    assert wrong in cases
    text = judge(
        EXERCISES["output_size"], lambda H, K, s, p, d: round((H + 2 * p - d * (K - 1) - 1) / s + 1)
    ).text
    assert "round down, with //" in text


def test_one_number_with_several_causes_names_them_all() -> None:
    text = judge(EXERCISES["intensity"], lambda K, C_g: K * K / (8 + 4 * K * K / C_g)).text
    assert "a multiply-add is two operations" in text
    assert "8 are those of a float64" in text


def test_large_scores_need_their_maximum_taken_off() -> None:
    def attend(query: Any, key: Any, K: int) -> Any:
        H, W = query.shape[1:]
        p = K // 2
        padded = np.pad(key, ((0, 0), (p, p), (p, p)))
        scores = np.zeros((K, K, H, W))
        for u, v in np.ndindex(K, K):
            scores[u, v] = (query * padded[:, u : u + H, v : v + W]).sum(0)
        return np.exp(scores) / np.exp(scores).sum((0, 1))

    assert "subtract the largest score" in course.check(attend).text


def test_vectorising_is_asked_for_and_the_package_does_not_count() -> None:
    def by_shifts(x: Any, kernel: Any) -> Any:
        (N, C, H, W), (G, K) = x.shape, kernel.shape[1:3]
        p = K // 2
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))).reshape(N, G, C // G, H + 2 * p, -1)
        y = np.zeros((N, G, C // G, H, W))
        for u, v in np.ndindex(K, K):
            y += kernel[:, :, None, u, v] * padded[..., u : u + H, v : v + W]
        return y.reshape(x.shape)

    for answer, words in {
        by_shifts: "Right: ",
        lambda x, kernel: loops(x, kernel): "it loops over pixels",
        lambda x, kernel: inv.involution(x, kernel): "involution of this package makes them",
    }.items():
        answer.__name__ = "involution_by_shifts"
        assert words in course.check(answer).text


def test_a_name_without_an_exercise() -> None:
    with pytest.raises(
        ValueError, match=r"^answer is named <lambda>; need one of apply, involution, "
    ):
        course.check(lambda x: x)


def test_the_hand_sized_example() -> None:
    """Whole numbers, no kink of ReLU, and gradients that both matter."""
    x, reduce, span, bias = course.hand_sized()
    assert all(np.array_equal(a, np.rint(a)) for a in (x, reduce, span, bias))
    assert (np.einsum("dc,nchw->ndhw", reduce, x) != 0).all()
    kernel = EXERCISES["generate"].right(x, reduce, span, bias, 1, 3)
    assert kernel[0, 0, :, :, 1, 2].ravel().tolist() == [0, 0, 0, 2, 1, 4, 0, 0, 0]
    assert inv.involution(x, kernel)[0, :, 1, 2].tolist() == [7, 15]


def test_right_answers_of_the_layers_own_gradients() -> None:
    x, reduce, span, bias = course.hand_sized()
    rng = np.random.default_rng(0)
    generate, back = (EXERCISES[name].right for name in ("generate", "generate_backward"))
    dkernel = rng.standard_normal((1, 1, 3, 3, 4, 5))
    dx, step = back(dkernel, x, reduce, span), 0.25 * rng.standard_normal(x.shape).clip(-1, 1)
    change = generate(x + step, reduce, span, bias, 1, 3) - generate(x, reduce, span, bias, 1, 3)
    np.testing.assert_allclose((dx * step).sum(), (dkernel * change).sum())
    for dy, batch, weight, eps in EXERCISES["batch_norm_backward"].cases(rng):
        norm = BatchNorm2d(batch.shape[1], eps=eps, dtype=float)
        norm.weight.data[...] = weight
        norm(batch)
        np.testing.assert_allclose(
            EXERCISES["batch_norm_backward"].right(dy, batch, weight, eps), norm.backward(dy)
        )


def test_weights_chosen_by_hand_make_the_kernels_that_are_asked_for() -> None:
    generate, rng = EXERCISES["generate"].right, np.random.default_rng(0)
    weight = rng.standard_normal((2, 3, 3))
    made = EXERCISES["as_depthwise"].right(weight, 2)
    x = rng.standard_normal((1, 2, 4, 5))
    kernel = generate(x, np.eye(2), made[:, :-1], made[:, -1], 2, 3)
    np.testing.assert_array_equal(
        kernel, np.broadcast_to(weight[..., None, None], kernel[0].shape)[None]
    )
    made = EXERCISES["blur_dark"].right(3)
    kernel = generate(np.array([[[[-1.0, 0, 2]]]]), -np.eye(1), made[:, :1], made[:, 1], 1, 3)
    np.testing.assert_allclose(kernel[0, 0, :, :, 0, 0], 1 / 9)
    for kept in kernel[0, 0, ..., 0, 1:].T:
        assert kept.ravel().tolist() == np.eye(9)[4].tolist()


def test_painted_pixels_change_the_outputs_that_are_marked() -> None:
    rng = np.random.default_rng(0)
    for H, W, K, h, w in EXERCISES["repainted"].cases(rng):
        layer = Involution2d(
            2, K, groups=1, reduction=1, sigma="identity", rng=0, dtype=float
        ).eval()
        x = rng.standard_normal((1, 2, H, W))
        painted = x.copy()
        painted[:, :, h, w] += 3
        outputs, kernels = (
            (f(x) != f(painted)).reshape(-1, H, W).any(0) for f in (layer, layer.generate_kernel)
        )
        marks = EXERCISES["repainted"].right(H, W, K, h, w)
        np.testing.assert_array_equal(outputs, marks > 0)
        np.testing.assert_array_equal(kernels, marks == 2)


def test_the_window_is_outlined_in_its_array() -> None:
    figure = course.show(outline=("x", 1, 2, 3), x=np.eye(4), y=np.eye(4))
    box: Any
    (box,), others = figure.axes[0].patches, figure.axes[1].patches
    assert (box.get_xy(), box.get_width(), len(others)) == ((0.5, -0.5), 3, 0)
    figure = course.show(outline=(["x", "y"], 1, 2, 3), x=np.eye(4), y=np.eye(4))
    assert [len(axes.patches) for axes in figure.axes[:2]] == [1, 1]


def test_an_endless_loop_is_stopped() -> None:
    def output_size(H: int, K: int, s: int, p: int, d: int) -> Any:
        count = 0
        while True:
            try:
                count += 1
            except Exception:  # noqa: BLE001 - it must not catch what stops it
                return count

    text = course.check(output_size).text
    assert "it was stopped after 300,000 lines of Python" in text
    assert "in line " in text


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("involution", lambda x, kernel: np.add.reduceat(
            RIGHT(x, kernel), range(0, x.shape[1], x.shape[1] // kernel.shape[1]), 1
        ), "Along channel, there is only the sum of each group"),
        ("involution", lambda x, kernel: RIGHT(0 * x + x.sum(1, keepdims=True), kernel), "the sum of x along axis 1"),
        ("unfold_bytes", lambda N, C, H, W, K: 4 * N * C * H * W * K * K / 1e6, "multiplied by 1,000,000"),
        ("unfold_bytes", lambda N, C, H, W, K: 4 * N * C * H * W * (K * K + 1), "too large by 4*N*C*H*W"),
        ("window_of", lambda x, i, j, K: np.pad(x, K // 2)[j : j + K, i : i + K], "`x, j, i, K` where"),
        ("window_of", lambda x, i, j, K: np.roll(
            EXERCISES["window_of"].right(x, i, j, K), (-(K // 2), -(K // 2)), (0, 1)
        ), "rolled along u and v"),
        ("window_of", lambda x, i, j, K: EXERCISES["window_of"].right(x, i, j, K)[:2, 1:], "cut off at the edge"),
        ("attend", lambda query, key, K: np.zeros((K, K, *query.shape)), "Axis 2 of your result is one too many"),
        ("cross_entropy_backward", lambda logits, labels: 0.7, "need one for each image and class"),
        ("nms", lambda boxes, scores, threshold: scores > 0, "These are True and False"),
        ("groups", lambda C, G: [0] * G, "Along channel there are G numbers"),
        ("halo", lambda rows, columns, K: 16 * EXERCISES["halo"].right(rows, columns, K), "16 times what it should be"),
        ("iou", lambda a, b: (a and b).sum(), "take one truth value"),
    ],
)  # fmt: skip
def test_more_mistakes_in_no_table_are_described(name: str, answer: Any, words: str) -> None:
    assert words in judge(EXERCISES[name], answer).text


def test_an_overlap_of_negative_sides_is_not_accepted() -> None:
    """Two boxes without a common row or column: the product of two negative sides is positive."""

    def nms(boxes: Any, scores: Any, threshold: float) -> Any:
        kept: list[int] = []
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        for k in np.argsort(-scores, kind="stable").tolist():
            low, high = (f(boxes[k, a], boxes[kept][:, a]) for f, a in (
                (np.maximum, slice(2)), (np.minimum, slice(2, 4)),
            ))  # fmt: skip
            shared = (high - low).prod(1)
            if (shared / (area[k] + area[kept] - shared) <= threshold).all():
                kept.append(k)
        return kept

    assert not course.check(nms).ok


def test_the_colour_bar_ends_at_the_largest_number() -> None:
    bar = course.show(x=np.eye(4), y=np.diag([5.0, 0, 0, 0])).axes[-1]
    assert bar.get_ylim() == (-5, 5)
