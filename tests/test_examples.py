"""The worked examples of README.md, run as they stand there."""

import re
import subprocess
import sys

import numpy as np
from ruamel.yaml import YAML
from sklearn.datasets import load_digits

from tests.conftest import REPOSITORY, clone

README = (REPOSITORY / "README.md").read_text()


def block(language, holding):
    blocks = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    (found,) = [block for block in blocks if holding in block]
    return found


def test_the_classifier_in_python():
    code = block("python", "CascadeClassifier")
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    accuracy, alone = map(
        float, re.search(r"accuracy ([\d.]+).*?([\d.]+)\n", result.stdout).groups()
    )
    assert accuracy > alone - 0.02
    assert float(re.search(r"energy ([\d.]+) of", result.stdout).group(1)) < 0.6


def test_a_model_and_a_data_set_of_one_s_own(tmp_path, run_in):
    folder = clone(tmp_path)
    X, y = load_digits(return_X_y=True)
    np.savez_compressed(
        folder / "letters.npz", X=(X * 15).astype(np.uint8).reshape(-1, 8, 8), y=y,
        class_names=[*"abcdefghij"],
    )  # fmt: skip
    code = block("python", "class Model(Classifier)")
    path, code = re.match(r"# (\S+)\n(.*)", code, re.DOTALL).groups()
    (folder / path).write_text(code)
    yaml = YAML()
    settings = yaml.load(folder / "params.yaml")
    settings["data"] |= YAML(typ="safe").load(block("yaml", "letters.npz"))["data"]
    settings["models"] |= YAML(typ="safe").load(block("yaml", "linear_discriminant"))["models"]
    settings["pool"].insert(1, "discriminant")
    yaml.dump(settings, folder / "params.yaml")
    run = run_in(folder)
    said = run("python", "-m", "eco.pipeline", "dvc.yaml").stdout
    assert "discriminant" in said
    said = run("dvc", "repro", "predict@discriminant").stdout
    assert re.search(r"discriminant: 9\d\.\d+% of \d+ test images right", said), said
    with np.load(folder / "data/predictions/discriminant.npz") as predictions:
        assert predictions["test"].shape == (450, 10)
    assert "data/predictions/discriminant.npz" in (folder / "dvc.yaml").read_text()
    settings["models"]["discriminant"]["shrinkage"] = "lots"
    settings["models"]["discriminant"]["depth"] = 3
    yaml.dump(settings, folder / "params.yaml")
    refused = run("dvc", "repro", "-s", "train@discriminant", ok=False)
    assert "must be the arguments of its class Model" in refused.stderr + refused.stdout
