"""Tokens in files: what `--token-file` names."""

from pathlib import Path

from netwright.model.settings import InvalidConfiguration

_LENGTH_MAX = 4096


def read_token(path: Path, *, next: str) -> str:  # noqa: A002 - as errors name it
    """The token in a file, alone but for white space around it.

    Raises InvalidConfiguration for a file that holds none: sent all the same, it would come back as
    "not known here", and nobody would look at the file. `next` says how to get a token.
    """
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidConfiguration(
            f"The token file {path} cannot be read: {error.strerror}.", next=next
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidConfiguration(
            f"The token file {path} holds no text, so no token.", next=next
        ) from error
    if wrong := _wrong(text):
        raise InvalidConfiguration(f"The token file {path} {wrong}.", next=next)
    return text


def _wrong(text: str) -> str:
    """Why the text is no token; "" when it may be one."""
    if not text:
        return "is empty"
    if text[0] in '{["':
        return "holds JSON; write the token in it alone, without quotes"
    if len(text.split()) > 1:
        return "holds more than one word; write the token in it alone"
    if len(text) > _LENGTH_MAX or not (text.isascii() and text.isprintable()):
        return "holds what is no token: a token is printable and at most 4096 characters long"
    return ""
