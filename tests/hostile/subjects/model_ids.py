"""Ids of base models that are paths, addresses or nothing at all; and answers of a hub."""

from tests.hostile.case import Case, Works, refused, submission

PATHS = (
    *(
        "../models",
        "..",
        ".",
        "/etc/passwd",
        "./sound",
        "~",
        "~root/x",
        "org/..",
        "org/../org/sound",
    ),
    *("..\\..\\x", "C:\\models", "\\\\host\\share", "file:///etc/passwd", "//host/x", "org//sound"),
    *(
        "org/sound/",
        "/org/sound",
        "a/b/c",
        "org/.hidden",
        "-rf",
        "org/-x",
        "%2e%2e/x",
        "org%2fsound",
    ),
    *("http://169.254.169.254/x", "https://huggingface.co/org/x", "s3://bucket/x", "git@host:x"),
    *(
        "org/so und",
        "org/sound ",
        "\u202eorg/x",
        "\u043erg/sound",
        "org/\U0001f600",
        "$(id)",
        "a;b",
    ),
    *("'; DROP TABLE jobs; --", "{{7*7}}", "org/name--x", "org/a..b", "org/x.git", "a" * 97, "a|b"),
    *("*", "?", "org/*", "<x>", "org/sound\u200b", "org@main/x", "hf:org/x"),
)
TEXTS = (
    "",
    "a" * 201,
    "org/so\0und",
    "org/sound\n",
    "\x1b[2J",
    5,
    None,
    ["org/sound"],
    {"id": "x"},
    ...,
)
REVISIONS = {
    "of a path": "../../x",
    "of a folder": "/etc",
    "that is not there": "v9",
    "of 40 digits": "0" * 40,
    "of a URL": "http://x/",
    "of a template": "{{x}}",
    "of 200 characters": "r" * 200,
}
AWAY = (
    "silent",
    "cut",
    "loop",
    "broken",
    "busy",
    "garbage",
    "list",
    "empty",
    "null",
    "odd-sibling",
)
CASES: list[Case] = [
    *(
        submission(f"the model {id_[:40]!r}", refused("invalid_model_id"), base_model=id_)
        for id_ in PATHS
    ),
    *(
        submission(f"as a model {str(id_)[:40]!r}", refused("invalid_request"), base_model=id_)
        for id_ in TEXTS
    ),
    *(
        submission(f"a revision {name}", refused("revision_not_found"), revision=value)
        for name, value in REVISIONS.items()
    ),
    submission("the main revision", Works(202), revision="main"),
    submission(
        "no such model", refused("base_model_not_found"), base_model="org/none-of-this-name"
    ),
    submission("a model in capitals", refused("base_model_not_found"), base_model="ORG/SOUND"),
    submission("an organisation", refused("base_model_not_found"), base_model="org"),
    submission("a model of 96 letters", refused("base_model_not_found"), base_model="a" * 96),
    submission(
        "a model that is too large",
        refused("model_too_large"),
        base_model="sentence-transformers/all-MiniLM-L6-v2",
    ),
    *(
        submission(f"a hub that is {name}", refused("hub_unreachable"), base_model=f"org/{name}")
        for name in AWAY
    ),
    submission(
        "a hub that closes a model",
        refused("base_model_not_found", "hub_unreachable"),
        base_model="org/closed",
    ),
    submission("a hub without files", refused("invalid_model"), base_model="org/no-files"),
    submission(
        "a hub that says nothing",
        refused("invalid_model", "hub_unreachable"),
        base_model="org/nothing",
    ),
    submission(
        "a hub with odd files",
        refused("invalid_model", "hub_unreachable"),
        base_model="org/odd-files",
    ),
    submission("a hub with pickles alone", refused("unsafe_weights"), base_model="org/pickled"),
    submission(
        "a hub without tokenizer.json",
        refused("no_fast_tokenizer"),
        base_model="org/slow-tokenizer",
    ),
    submission(
        "a hub without the revision",
        refused("revision_not_found"),
        base_model="org/whole",
        revision="v9",
    ),
    submission(
        "a hub's revision of a path",
        refused("revision_not_found"),
        base_model="org/whole",
        revision="../../x",
    ),
    submission("a hub with a file outside", Works(202), base_model="org/traversal"),
]
