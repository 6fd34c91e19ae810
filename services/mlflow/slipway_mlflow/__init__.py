"""MLflow's tracking server behind the gateway: MLflow as released, started with its secrets, knowing people
as the hub knows them, and with its own permissions in force.

    python -m slipway_mlflow serve | migrate | healthcheck
"""
