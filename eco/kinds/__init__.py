"""The kinds of models, one file each: `kind: NAME` in params.yaml is the class `Model` in NAME.py.

`eco.pool` says what such a class must offer; `eco.classifiers` and `eco.networks` give nearly all
of it to models of scikit-learn and of Keras.
"""
