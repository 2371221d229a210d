"""The service on an object store: S3 servers that speak HTTP."""
