"""The files of a finished job, and its archive."""

ARCHIVE = bytes(range(256)) * 12_000
FILES = {
    "model.safetensors": b"weights" * 100,
    "report.json": b'{"schema_version": 1}',
    "report.html": b"<!doctype html><title>report</title>",
    "vocabulary.jsonl": b"{}\n",
    "README.md": b"# card",
    "1_Pooling/config.json": b"{}",
    "empty file.txt": b"",
}
