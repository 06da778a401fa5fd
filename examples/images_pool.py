"""A pool for colour images: the mean colour, the histogram, the texture."""

# %% [markdown]
# The two photographs that scikit-learn ships, a temple in China and a flower, are cut into 3,710
# patches of 12 x 12 pixels: which of them is a patch from? (scikit-learn reads them with Pillow.)

# %%
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from threadpoolctl import threadpool_limits

from eco import CascadeClassifier

threadpool_limits(1)  # such small models would only wait for each other's threads
SIZE, BLOCK = 12, 3


def patches(photo):
    """Patches, (n, 12, 12, 3), and the number of the block of 3 x 3 patches that each is in."""
    rows, columns = photo.shape[0] // SIZE, photo.shape[1] // SIZE
    tiles = photo[: rows * SIZE, : columns * SIZE].reshape(rows, SIZE, columns, SIZE, 3)
    row, column = np.divmod(np.arange(rows * columns), columns)
    block = row // BLOCK * columns + column // BLOCK
    return tiles.swapaxes(1, 2).reshape(-1, SIZE, SIZE, 3), block


parts = [patches(photo) for photo in load_sample_images().images]
X = np.concatenate([part for part, _ in parts])
y = np.repeat(["temple", "flower"], [len(part) for part, _ in parts])
blocks = np.concatenate([1000 * number + block for number, (_, block) in enumerate(parts)])

# %% [markdown]
# Samples may have any shape: what a model reads of them is the first step of its pipeline.


# %%
def colour(X):
    """Mean of each channel, (n, 3)."""
    return X.mean(axis=(1, 2))


def histogram(X):
    """Share of pixels in each of four levels of each channel, (n, 12)."""
    return np.hstack([(level == X // 64).mean(axis=(1, 2)) for level in range(4)])


def texture(X):
    """Mean and spread of each channel, and the mean step to the next pixel, (n, 12)."""
    steps = [np.abs(np.diff(X.astype(float), axis=axis)).mean(axis=(1, 2)) for axis in (1, 2)]
    return np.hstack([colour(X), X.std(axis=(1, 2)), *steps])


#: Each model, and how often it touches a number for a patch, about: pixels first, then features.
pixels = SIZE * SIZE * 3
forest = ExtraTreesClassifier(200, min_samples_leaf=2, random_state=0)
POOL = {
    "colour": (FunctionTransformer(colour), LogisticRegression(), pixels),
    "histogram": (FunctionTransformer(histogram), LogisticRegression(C=10), 2 * pixels),
    "texture": (FunctionTransformer(texture), forest, 6 * pixels + 200 * 10),
}
estimators = [
    (name, make_pipeline(read, StandardScaler(), model)) for name, (read, model, _) in POOL.items()
]
costs = {name: operations for name, (*_, operations) in POOL.items()}

# %% [markdown]
# Neighbouring patches resemble each other, so whole blocks of them are learnt from, held out for
# the thresholds, or kept for the test.

# %%
rows, new = next(GroupShuffleSplit(1, test_size=0.3, random_state=0).split(X, y, blocks))
cascade = CascadeClassifier(
    estimators, energies=costs, max_accuracy_loss=1.0, holdout=0.6, random_state=0
).fit(X[rows], y[rows], groups=blocks[rows])
for name, model in cascade.named_estimators_.items():
    right = cascade.classes_[model.predict(X[new])] == y[new]
    print(f"{name:9} {right.mean():.0%} at {costs[name]:,} operations")
explained = cascade.explain(X[new])
right, cost = explained["label"] == y[new], explained["energy_j"].mean()
print(f"cascade   {right.mean():.0%} at {cost / costs['texture']:.0%} of the operations of texture")
