"""A cascade and a router for texts: the package that a sentence of documentation is from."""

# %% [markdown]
# The texts are on every machine that has this project: first sentences of docstrings in the source
# of four packages, two of data frames and two of learners. Names that give them away are taken out.

# %%
import re
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GroupShuffleSplit
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline, make_union

from eco import CascadeClassifier, RoutingClassifier

PACKAGES = ("mapie", "narwhals", "pandas", "sklearn")
NAMES = re.compile(r"\b(mapie|narwhals|nw|pandas|pd|sklearn|scikit)\b", re.IGNORECASE)
#: The first sentence of a docstring.
SENTENCE = re.compile(r'"""(.+?)(?:\.\s|\n\n|""")', re.DOTALL)


def docstrings(package):
    """A row for each sentence, with its package and its file."""
    folder = Path(find_spec(package).origin).parent
    for path in sorted(folder.rglob("*.py")):
        file = path.relative_to(folder.parent).as_posix()
        if "/tests/" not in file:
            for text in SENTENCE.findall(path.read_text("utf-8")):
                yield " ".join(NAMES.sub(" ", text).split()), package, file


rows = [row for package in PACKAGES for row in docstrings(package)]
table = pd.DataFrame(rows, columns=["text", "package", "file"]).drop_duplicates("text")
table = table[table["text"].str.len().between(30, 300)][::2]
print(f"{len(table) / 1000:.0f} thousand sentences of {len(PACKAGES)} packages")

# %% [markdown]
# Sentences of one file resemble each other, so files are the groups: a file is learnt from, held
# out for the thresholds, or kept for the test, as a whole.

# %%
split = GroupShuffleSplit(1, test_size=0.3, random_state=0)
train, test = (table.iloc[rows] for rows in next(split.split(table, groups=table["file"])))
words = TfidfVectorizer(sublinear_tf=True)
letters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), min_df=3, sublinear_tf=True)
regression = SGDClassifier(loss="log_loss", alpha=1e-5, random_state=0)
POOL = [
    ("bayes", make_pipeline(CountVectorizer(max_features=1000, binary=True), MultinomialNB())),
    ("words", make_pipeline(words, regression)),
    ("letters", make_pipeline(make_union(words, letters), regression)),
]


def lookups(model):
    """How many terms of a text the model looks up, on average."""
    return model[0].fit(train["text"]).transform(test["text"]).nnz / len(test)


costs = {name: lookups(model) for name, model in POOL}
print("terms looked up:", ", ".join(f"{name} {cost:.0f}" for name, cost in costs.items()))

# %% [markdown]
# The cascade sees each text with the light models first. A router decides before any of them ran,
# by the words alone, which tell it little about who will be right.

# %%
settings = {"energies": costs, "max_accuracy_loss": 1.0, "holdout": 0.3, "random_state": 0}
learner = OneVsRestClassifier(SGDClassifier(loss="log_loss", random_state=0))
router = make_pipeline(TfidfVectorizer(max_features=1000), learner)
strategies = {
    "cascade": CascadeClassifier(POOL, **settings),
    "router": RoutingClassifier(POOL, router, router_energy=costs["bayes"], **settings),
}
texts, labels = test["text"].tolist(), test["package"].to_numpy()
for name, model in strategies.items():
    model.fit(train["text"].tolist(), train["package"], groups=train["file"])
    explained = model.explain(texts)
    cost = explained["energy_j"].mean() / costs["letters"]
    print(f"{name}: {(explained['label'] == labels).mean():.0%} right, {cost:.0%} of the lookups")
last = model.classes_[model.named_estimators_["letters"].predict(texts)]
print(f"always letters: {(last == labels).mean():.0%} right")
