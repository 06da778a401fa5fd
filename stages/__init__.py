"""One thin script per stage of dvc.yaml, named as its stage."""
