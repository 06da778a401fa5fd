"""A pool of scikit-learn models on real data."""

# %% [markdown]
# The handwritten digits that scikit-learn ships: 1,797 samples. Each is predicted by models that
# were fitted on others (five-fold cross-validation), so all of them can be used.

# %%
import numpy as np
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from eco import certify, tune

X, y = load_digits(return_X_y=True)
#: Each model, and how many numbers it compares, multiplies or looks up for a sample, about.
POOL = {
    "tree": (DecisionTreeClassifier(max_depth=8, random_state=0), 8),
    "bayes": (GaussianNB(var_smoothing=1e-3), 64 * 10),
    "linear": (make_pipeline(StandardScaler(), LogisticRegression(C=0.1)), 64 * 11),
    "forest": (ExtraTreesClassifier(200, random_state=0), 200 * 12),
    "kernel": (SVC(C=10, gamma=0.001), 64 * 900),
}


def probabilities(model):
    """Of each class; a machine that gives scores has them scaled, which is enough to order them."""
    if isinstance(model, SVC):
        scores = 3 * cross_val_predict(model, X, y, method="decision_function")
        return softmax(scores, axis=1)
    return cross_val_predict(model, X, y, method="predict_proba")


predictions = {name: probabilities(model) for name, (model, _) in POOL.items()}
costs = {name: operations for name, (_, operations) in POOL.items()}
for name, p in predictions.items():
    print(f"{name:8} {(p.argmax(axis=1) == y).mean():.1%} at {costs[name]:,} operations")

# %% [markdown]
# The cheapest cascade that loses at most half a point, by a margin of 1.3 standard errors.

# %%
tuned = tune(costs, probabilities=predictions, y=y, max_accuracy_loss=0.5)
print("tuned:", tuned.strategy.describe())
print(f"  {tuned.accuracy_loss_points:.2f} points lost, {tuned.cost_share:.1%} of the cost")

# %%
certified = certify(costs, probabilities=predictions, y=y, max_harm=1.0)
print("certified:", certified.strategy.describe())
print(f"  harms at most 1 point of new samples, for {certified.cost_share:.1%} of the cost")

# %% [markdown]
# The same with a test split of its own, rules of others and a page: `eco study digits.npz`.

# %%
np.savez(
    "digits.npz",
    probabilities=np.stack(list(predictions.values()), axis=1),
    y=y,
    models=list(costs),
    costs=list(costs.values()),
)
print("digits.npz:", len(y), "samples")
