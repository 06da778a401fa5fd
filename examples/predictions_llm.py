"""A cascade of language models, from a table of answers."""

# %% [markdown]
# All that is needed is what was logged anyway: for each question and each model a confidence (a
# mean token probability, a verifier's score), whether the answer was right, and what it cost. The
# answers here are simulated, so that the example needs no network: replace `simulated_answers`.

# %%
import numpy as np
import pandas as pd

from eco import certify, tune

#: Of each model how able it is, and USD for a million tokens.
MODELS = {"mini": (0.4, 0.6), "standard": (1.2, 4.0), "frontier": (2.2, 30.0)}


def simulated_answers(n_questions: int = 6000) -> pd.DataFrame:
    """A row for each question and model."""
    random = np.random.default_rng(7)
    difficulty = random.normal(size=n_questions)
    rows = []
    for model, (ability, usd_per_million) in MODELS.items():
        margin = 1.5 * ability - difficulty + random.normal(0, 0.5, n_questions)
        right = 1 / (1 + np.exp(-2.5 * margin))
        tokens = random.poisson(300 * np.exp(0.3 * difficulty))
        rows.append(
            pd.DataFrame(
                {
                    "id": np.arange(n_questions),
                    "model": model,
                    "confidence": np.clip(right + random.normal(0, 0.05, n_questions), 0, 1),
                    "correct": random.random(n_questions) < right,
                    "cost": tokens * usd_per_million / 1e6,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


answers = simulated_answers()

# %% [markdown]
# Thresholds are found on one half of the questions, and judged on the other.

# %%
confidence = answers.pivot_table(index="id", columns="model", values="confidence")
correct = answers.pivot_table(index="id", columns="model", values="correct")
costs = answers.groupby("model")["cost"].mean()[list(MODELS)]  # light to heavy
half = len(confidence) // 2

tuned = tune(costs, confidence=confidence[:half], correct=correct[:half], max_accuracy_loss=1.0)
score = tuned.score(confidence=confidence[half:], correct=correct[half:])
print("tuned:", tuned.strategy.describe())
print(f"  accuracy {score.accuracy.value:.1%}, {score.accuracy_loss_points.value:.2f} points lost")
print(f"  {1000 * score.energy_j.value:.2f} USD for 1,000 questions: ", end="")
print(f"{score.energy_share.value:.0%} of always {list(MODELS)[-1]}")

# %% [markdown]
# A certificate holds for new questions like these, with a stated probability.

# %%
certified = certify(costs, confidence=confidence, correct=correct, max_harm=2.0, delta=0.05)
print("certified:", certified.strategy.describe())
print(f"  at most 2 of 100 answers get worse, for {certified.cost_share:.0%} of the cost")

# %% [markdown]
# The table itself is what `eco study answers.csv --unit USD` takes, for the page with the explorer.

# %%
answers.to_csv("answers.csv", index=False)
print(f"answers.csv: {len(answers):,} rows")
