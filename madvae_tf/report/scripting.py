"""The page's scripts, which are files of their own beside this one, and the policy that lets it run these and nothing else.

The page works without them: they add sorting, reading out the points of a curve, and the gallery.
"""

import base64
import hashlib
from pathlib import Path

SCRIPTS = ("tables.js", "curves.js", "explorer.js")
_FOLDER = Path(__file__).parent / "scripts"


def source() -> str:
    """All scripts as one."""
    return "\n".join((_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


def policy(script: str) -> str:
    """The meta tag that allows `script` by its hash, embedded pictures and the style sheet, and no request at all."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        "img-src data:",
        "style-src 'unsafe-inline'",
        f"script-src 'sha256-{digest}'",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
