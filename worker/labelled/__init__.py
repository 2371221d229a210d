"""The task of a job: its labelled data, read and checked, and how a model is scored on it."""
