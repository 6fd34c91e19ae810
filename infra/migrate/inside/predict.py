"""Runs in the embedded platform's environment: a model's answer to the input example that was logged with it.

python predict.py FOLDER      prints {"body": what serving is asked, "answer": what the model says}, or
                              {"none": why there is nothing to compare}
"""

from __future__ import annotations

import json
import sys

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc.scoring_server import invocations


def main(folder: str) -> int:
    try:
        body = Model.load(folder).get_serving_input(folder)
    except (MlflowException, OSError, ValueError) as error:
        body, why = None, f"its input example cannot be read ({first_line(error)})"
    else:
        why = "it was logged without an input example"
    if body is None:
        print(json.dumps({"none": why}))
        return 0
    try:
        model = mlflow.pyfunc.load_model(folder)
        answer = invocations(body, "application/json", model, model.metadata.get_input_schema())
    except Exception as error:  # a model is somebody's program, and may fail in any way
        print(json.dumps({"none": f"embedded, it does not answer either ({first_line(error)})"}))
        return 0
    if answer.status != 200:
        print(json.dumps({"none": f"embedded, it does not answer either ({answer.response[:300]})"}))
        return 0
    print(json.dumps({"body": body, "answer": json.loads(answer.response)}))
    return 0


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
