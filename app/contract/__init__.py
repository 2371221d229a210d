"""The words that the API, the client, the worker and the engine share: pydantic, no I/O."""
