"""A pool of boosted trees, of LightGBM and scikit-learn, on a table of categories."""

# %% [markdown]
# 3,196 chess endgames, king and rook against king and pawn, described by 36 categories: can the
# side with the rook win? (Shapiro 1983; a file that scikit-learn ships with its own tests.) Both
# kinds of boosted trees take columns of type "category" as they are, missing values too; the
# others get them from a pipeline.

# %%
import gzip
import io
from importlib.resources import files

import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder
from sklearn.tree import DecisionTreeClassifier
from threadpoolctl import threadpool_limits

from eco import CascadeClassifier

threadpool_limits(1)  # such small models would only wait for each other's threads
file = files("sklearn.datasets.tests") / "data/openml/id_3/data-v1-dl-3.arff.gz"
head, _, rows = gzip.decompress(file.read_bytes()).decode().partition("@data")
names = [line.split("'")[1] for line in head.splitlines() if line.startswith("@attribute")]
table = pd.read_csv(io.StringIO(rows), names=names, quotechar="'", comment="%")
X, y = table[names[:-1]].astype("category"), table["class"]
X, X_new, y, y_new = train_test_split(X, y, test_size=0.3, random_state=0)

# %%
ordinal = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
one_hot = OneHotEncoder(handle_unknown="ignore")
#: Each model, and how many numbers it compares, multiplies or looks up for a sample, about.
POOL = {
    "tree": (make_pipeline(ordinal, DecisionTreeClassifier(max_depth=4, random_state=0)), 4),
    "linear": (make_pipeline(one_hot, LogisticRegression()), 36),
    "histogram": (HistGradientBoostingClassifier(max_iter=20, random_state=0), 20 * 6),
    "lightgbm": (LGBMClassifier(n_estimators=150, n_jobs=1, verbose=-1), 150 * 6),
}
estimators = [(name, model) for name, (model, _) in POOL.items()]
costs = {name: operations for name, (_, operations) in POOL.items()}
settings = {"energies": costs, "holdout": 0.4, "random_state": 0}
cascade = CascadeClassifier(estimators, max_accuracy_loss=0.5, **settings).fit(X, y)
for name, model in cascade.named_estimators_.items():
    accuracy = (cascade.classes_[model.predict(X_new)] == y_new).mean()
    print(f"{name:9} {accuracy:.0%} at {costs[name]} operations")


def report(name, cascade):
    """Accuracy and cost on the new samples."""
    explained = cascade.explain(X_new)
    accuracy, cost = (explained["label"] == y_new).mean(), explained["energy_j"].mean()
    print(f"{name}: {accuracy:.0%} at {cost / costs['lightgbm']:.0%} of the operations of lightgbm")


# %% [markdown]
# The cheapest cascade that lost at most half a point on the samples held out, by a margin; and the
# cheapest that is certified to harm at most two points of new ones.

# %%
report("tuned", cascade)
certified = CascadeClassifier(estimators, "certified", max_harm=2.0, **settings)
report("certified", certified.fit(X, y))
