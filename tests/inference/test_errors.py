"""The error tree: what users and programs can rely on."""

import re

import pytest

from motionfit.inference import errors
from motionfit.inference.errors import MissingExtra, MotionfitError, VideoError, require_extra

ALL = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, MotionfitError)
]


def drawn() -> dict[str, tuple[str, str]]:
    """The tree in the docstring: name -> (parent's name, code)."""
    found = {}
    parents = ["MotionfitError"]
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        if match := re.match(r"([│ ├└]*)[├└]── (\w+) +([a-z-]+) ", line):
            depth = len(match[1]) // 4 + 1
            parents[depth:] = [match[2]]
            found[match[2]] = parents[depth - 1], match[3]
    return found


def test_the_drawn_tree_is_the_real_one() -> None:
    tree = drawn()
    assert set(tree) == {error.__name__ for error in ALL} - {"MotionfitError"}
    for error in ALL[1:]:
        assert tree[error.__name__] == (error.__bases__[0].__name__, error.code)


def test_codes_are_unique_and_made_of_lower_case_words() -> None:
    codes = [error.code for error in ALL]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", code) for code in codes)


@pytest.mark.parametrize("error", [error for error in ALL if issubclass(error, VideoError)])
def test_a_video_error_can_be_rebuilt_from_its_message(error: type[VideoError]) -> None:
    # This is how it crosses from the decoding process.
    assert str(error("the picture is broken")) == "the picture is broken"


def test_a_bad_clip_spec_is_also_a_value_error() -> None:
    assert issubclass(errors.SpecError, ValueError)


def test_a_missing_extra_names_what_is_missing_and_what_to_run() -> None:
    require_extra("cpu", "json", "numpy")
    with pytest.raises(MissingExtra) as raised:
        require_extra("train", "json", "no_such_module", "nor_this")
    assert str(raised.value) == (
        "this needs no_such_module, nor_this, which is not installed: "
        'run  pip install "motionfit[train]"'
    )
