"""The kinds of models: `kind: NAME` in params.yaml is the class `Model` in NAME.py.

`Settings` in the same file checks and describes what that kind takes. `eco.models.base.Model` says
what the class must offer; `eco.models.sklearn` and `eco.models.keras` offer nearly all of it.
"""
