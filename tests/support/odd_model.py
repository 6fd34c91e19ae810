"""A model that does what its input says: answers, sleeps, or eats memory until it is stopped.

Logged as code, since the servers that load it have another Python.
"""

from __future__ import annotations

import time

from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Odd(PythonModel):
    def predict(self, context, model_input, params=None):
        answers = []
        for what in model_input["do"]:
            if what == "sleep for ever":
                time.sleep(3600)
            if what == "eat":
                eaten = []
                while True:
                    eaten.append(bytearray(64 * 2**20))
            answers.append(f"{what} was done")
        return answers


set_model(Odd())
