import re
from types import SimpleNamespace

import numpy as np
import pytest

from eco.errors import EcoError
from eco.serving.protocol import to_npy
from eco.serving.service import Answered
from tests.cli.conftest import settings, workflow  # noqa: F401
from tools.load import is_right, main, make_requests


def body(label=1, confidence=0.9, answered_by=0):
    answers = SimpleNamespace(
        labels=np.array([label]), confidence=np.array([confidence]),
        answered_by=np.array([answered_by]),
    )  # fmt: skip
    return to_npy(Answered(answers, np.array([1e-6])))


def test_an_answer_is_right_if_it_says_the_same():
    assert is_right(body(), body()) and is_right(body(confidence=0.90005), body())
    for other in ({"label": 2}, {"answered_by": 1}, {"confidence": 0.91}):
        assert not is_right(body(**other), body())


def test_a_server_is_loaded_and_every_answer_compared(settings, capfd):  # noqa: F811
    assert main(["--seconds", "0.5", "--connections", "3", "-s", "mine"]) == 0
    text = capfd.readouterr().out
    requests, errors, wrong = (
        int(re.search(rf"{name} +([\d,]+)", text)[1].replace(",", ""))
        for name in ("requests", "errors", "wrong")
    )
    assert requests > 0 and (errors, wrong) == (0, 0)
    refused = ["--seconds", "0.5", "--images", "2", "-s", "mine", "--", "--max-samples", "1"]
    assert main(refused) == 1
    assert "errors      0" not in capfd.readouterr().out


def test_more_images_than_there_are_is_named(settings):  # noqa: F811
    with pytest.raises(EcoError, match="--images must be from 1 to 20, as many as are in git"):
        make_requests("mine", 21)
