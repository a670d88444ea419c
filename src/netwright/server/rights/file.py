"""Rules that an operator gives in a file: YAML, `"create_network:shared": "role:manager"`."""

from pathlib import Path

from netwright.model.documents import Document
from netwright.model.settings import InvalidConfiguration
from netwright.server.api.v2.rules import ACTIONS, ATTRIBUTES
from netwright.server.rights.rules import InvalidRule, Rules


def rules(path: Path | None) -> Rules:
    """The rules by default, and by this file instead; raises InvalidConfiguration with the line."""
    if path is None:
        return Rules(ACTIONS, ATTRIBUTES)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise InvalidConfiguration(
            f"policy_file {path} cannot be read: {why}.",
            next="Correct the path, or give the server the right to it.",
        ) from error
    document = Document(text, str(path), InvalidConfiguration)
    given = document.convert(dict[str, str])
    try:
        return Rules(ACTIONS, ATTRIBUTES, given)
    except InvalidRule as error:
        raise document.error((error.name,), str(error)) from error
