"""The one rule of what counts as a secret: in variables, options, mapping keys, addresses and whole texts. Pure.

Either the name shows it (`DB_PASSWORD`, `--api-key`) or the value does: a password or token in an address, a known
token prefix, a private key. Source of the prefixes: the issuers' documentation (Hugging Face, OpenAI, GitHub, GitLab,
Slack, AWS, Google, NVIDIA); RFC 7519 for JSON Web Tokens, RFC 7468 for private keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

SECRETS = {
    "HF_TOKEN": "model",
    "HUGGING_FACE_HUB_TOKEN": "model",
    "MODELSCOPE_API_TOKEN": "model",
    "AWS_ACCESS_KEY_ID": "cloud",
    "AWS_SECRET_ACCESS_KEY": "cloud",
    "AWS_SESSION_TOKEN": "cloud",
    "AZURE_STORAGE_CONNECTION_STRING": "cloud",
    "AZURE_STORAGE_KEY": "cloud",
    "AZURE_STORAGE_SAS_TOKEN": "cloud",
    "ETCD_AUTH_USERNAME": "meeting",
    "ETCD_AUTH_PASSWORD": "meeting",
    "NATS_AUTH_USERNAME": "meeting",
    "NATS_AUTH_PASSWORD": "meeting",
    "NATS_AUTH_TOKEN": "meeting",
    "NATS_AUTH_NKEY": "meeting",
    "LMCACHE_RESP_USERNAME": "store",
    "LMCACHE_RESP_PASSWORD": "store",
    "LMCACHE_AEROSPIKE_USERNAME": "store",
    "LMCACHE_AEROSPIKE_PASSWORD": "store",
}
"""Secrets that are passed on, and who needs them: whatever reads the model, the sidecar's L2 store, both if they are
in cloud storage, and processes that use etcd or NATS."""
MASK = "***"
_LENGTH = 4
"""Shortest known secret, in characters, to look for: anything shorter occurs in any text."""
_NAME = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|CONNECTION_?STRING"
    r"|(?:^|_)(?:TOKEN|PASS|CREDS|JWT|AUTHORIZATION)$|._PWD$"
    r"|(?:API|ACCESS|ACCOUNT|SHARED|STORAGE|PRIVATE|SIGNING|ENCRYPTION|MASTER|LICENSE)_?KEY(?:_ID)?$",
    re.IGNORECASE,
)
_NONE = re.compile(
    r"_(?:FILE|PATH|DIR|ENV|NAME)$|(?:^|_)(?:BOS|EOS|PAD|UNK|SEP|CLS|MASK|STOP|START|END|IMAGE|AUDIO|VIDEO)_TOKEN$",
    re.IGNORECASE,
)
"""Names that say where a secret is kept, and names of a language model's tokens."""
_QUOTED = r"\"[^\"\n]*\"?|'[^'\n]*'?"
_NAMED = re.compile(
    r"(?<![\w.-])(?P<name>-{0,2}[A-Za-z_][\w.-]*)[\"']?"
    r"(?:[ \t]{0,4}=(?!=)[ \t]{0,4}|[ \t]{0,4}(?P<colon>:)(?:[ \t]{1,4}|(?=[\"']))|(?P<option>,?[ \t]{1,4}))"
)
"""`NAME=value`, `--name=value`, `"name": "value"`, `Name: value`, `--name value` and `[--name, value]`."""
_WORD = re.compile(rf"{_QUOTED}|[^\s\"'=]\S*")
_LINE = re.compile(rf"{_QUOTED}|[^\s\"'][^\n]*")
_REFERENCE = re.compile(r"[\"']?(?:\$[A-Za-z_{(]|<|\{\{|\*\*\*|…|\.\.\.|[\"']?$)")
"""Text that stands for a value kept elsewhere, or for none."""
_ADDRESS = re.compile(r"://(?P<value>[^/?#\s\"'<>]*)@")
_SUSPECT = re.compile(r"(?<![^\s\"'=,\[])(?P<value>[^\s@/:\"'=,\[]+)@[\w.-]+:\d")
"""An address without a scheme, in which the part before the @ may be a token or a user's name."""
_USERS = frozenset("ssh sftp ftp rsync git git+ssh ssh+git svn+ssh postgres postgresql mysql mongodb amqp".split())
"""Schemes in whose addresses a name without a password is a user and not a token."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*$")
_SCHEME_MAX = 20
_SHAPES = re.compile(
    r"(?<![\w/-])(?:hf_[A-Za-z0-9]{16,}|sk-(?:[a-z0-9]+-){0,2}[A-Za-z0-9_]{20,}|gh[oprsu]_[A-Za-z0-9]{20,}"
    r"|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}|(?:AKIA|ASIA)[A-Z0-9]{16}(?!\w)|AIza[\w-]{30,}"
    r"|nvapi-[\w-]{20,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*)"
    r"|Bearer\s{1,4}[\w.~+/=-]{16,}"
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
)
_HOOK = re.compile(
    r"(?:hooks\.slack\.com/(?:services|workflows|triggers)|discord(?:app)?\.com/api/webhooks|api\.telegram\.org/bot"
    r"|\.webhook\.office\.com/webhookb2|chat\.googleapis\.com/v1/spaces)(?P<value>[^\s\"'<>]{8,})",
    re.IGNORECASE,
)
"""Addresses whose path alone allows posting. Source: the documentation of Slack, Discord, Telegram, Microsoft Teams
and Google Chat."""
_HINT = re.compile(
    r"secret|pass|credential|connection|token|creds|jwt|authorization|pwd|key|://|@|hf_|sk-|gh[oprsu]_|github_pat|glpat"
    r"|xox|akia|asia|aiza|nvapi|eyj|bearer|hook|telegram|googleapis",
    re.IGNORECASE,
)
"""Every text with a secret contains one of these, so most texts need no closer look."""


def is_secret(name: str, value: str = "") -> bool:
    """Whether a variable is a secret, by its name or by its value."""
    return name in SECRETS or looks_secret(name) or secret_in(value) is not None


def looks_secret(name: str) -> bool:
    """Whether the name of a variable, an option or a mapping key looks like that of a secret."""
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lstrip("-").replace("-", "_").replace(".", "_")
    return _NAME.search(words) is not None and _NONE.search(words) is None


def secret_in(text: str) -> str | None:
    """The kind of secret that a text contains, without its value; None if it contains none."""
    return next((name for _, _, name in _found(text)), None)


def hidden(text: str, values: Iterable[str]) -> str:
    """The text with these secrets replaced by `***`, whatever they look like."""
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, MASK) if len(value) >= _LENGTH else text
    return text


def masked(text: str) -> str:
    """The text with everything that looks like a secret replaced by `***`."""
    parts, at = [], 0
    for start, end, _ in sorted(_found(text, with_suspects=True)):
        if end > at:
            parts += [text[at : max(at, start)], MASK]
            at = end
    return "".join([*parts, text[at:]])


def only_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that may be kept only in memory."""
    return {name: value for name, value in variables.items() if is_secret(name, value)}


def without_secrets(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that may be written and shown."""
    return {name: value for name, value in variables.items() if not is_secret(name, value)}


def _found(text: str, *, with_suspects: bool = False) -> Iterator[tuple[int, int, str]]:
    """Start, end and kind of each secret in the text."""
    if _HINT.search(text) is None:
        return
    yield from _named(text)
    for match in _ADDRESS.finditer(text):
        if _is_credential(match):
            yield *match.span("value"), "a password in an address"
    for match in _SHAPES.finditer(text):
        yield *match.span(), "a token"
    for match in _HOOK.finditer(text):
        yield *match.span("value"), "a webhook's address"
    if with_suspects:
        yield from ((*match.span("value"), "") for match in _SUSPECT.finditer(text))


def _named(text: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    while match := _NAMED.search(text, at):
        at = match.end()
        name, is_option = match["name"], match["option"] is not None
        if (is_option and not name.startswith("--")) or not looks_secret(name):
            continue
        value = (_LINE if match["colon"] else _WORD).match(text, at)
        is_next_option = is_option and value is not None and value[0].startswith("-")
        if value is not None and not is_next_option and not _REFERENCE.match(value[0]):
            at = value.end()
            yield *value.span(), name


def _is_credential(address: re.Match[str]) -> bool:
    user, colon, password = address["value"].partition(":")
    before = address.string[max(0, address.start() - _SCHEME_MAX) : address.start()]
    scheme = found[0].lower() if (found := _SCHEME.search(before)) else ""
    is_token = bool(user) and not colon and scheme not in _USERS
    return bool(password) or is_token
