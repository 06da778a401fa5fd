"""Networks of PyTorch as ONNX files, in a cascade."""

# %% [markdown]
# Two networks learn the handwritten digits that scikit-learn ships, in seconds. It takes torch,
# onnxscript, and the extra [onnx] of this project.

# %%
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from eco import CascadeClassifier, OnnxClassifier

torch.manual_seed(0)
torch.set_num_threads(1)
images, y = load_digits(return_X_y=True)
images = np.float32(images / 16).reshape(-1, 1, 8, 8)
X, X_new, y, y_new = train_test_split(images, y, test_size=0.5, random_state=0)
X_train, X_val, y_train, y_val = train_test_split(X, y, test_size=0.5, random_state=0)


def fit(network, epochs=30):
    """The network, trained."""
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    inputs, labels = torch.tensor(X_train), torch.tensor(y_train)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return network.eval()


linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
convolutional = torch.nn.Sequential(
    torch.nn.Conv2d(1, 24, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d(2),
    torch.nn.Conv2d(24, 48, 3, padding=1),
    torch.nn.ReLU(),
    torch.nn.Flatten(),
    torch.nn.Linear(48 * 16, 10),
)
#: Each network, and how many numbers it multiplies for an image.
POOL = {
    "small": (linear, 640),
    "large": (convolutional, 64 * 9 * 24 + 16 * 9 * 24 * 48 + 16 * 48 * 10),
}

# %% [markdown]
# Two arguments of the export matter: `dynamic_shapes` leaves the number of images open, and with
# `external_data=False` the weights are in the file. The networks give logits, so that is said.

# %%
for name, (network, _) in POOL.items():
    torch.onnx.export(
        fit(network),
        (torch.tensor(X_train[:2]),),
        f"{name}.onnx",
        dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
        external_data=False,
        verbose=False,
    )
models = [(name, OnnxClassifier(f"{name}.onnx", "logits")) for name in POOL]
costs = {name: operations for name, (_, operations) in POOL.items()}
for name, model in models:
    print(f"{name:7} {model.score(X_new, y_new):.0%} at {costs[name]:,} operations")

# %% [markdown]
# Thresholds are found on images that no network has learnt from. With `energies="measured"` in
# place of the operations, CodeCarbon measures what a call of each file takes.

# %%
cascade = CascadeClassifier(models, energies=costs, max_accuracy_loss=0.5, prefit=True)
explained = cascade.fit(X_val, y_val).explain(X_new)
right, cost = explained["label"] == y_new, explained["energy_j"].mean()
print(f"cascade {right.mean():.0%} at {cost / costs['large']:.0%} of the operations of large")
