"""The supervisor as a systemd service, for the system's or a user's manager, and a profile for it. Pure.

Source: systemd.service(5), systemd.exec(5) and systemd.unit(5) of systemd 252. `docs/systemd` contains the result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dynkv.profile.model import Profile
from dynkv.render.readme import Readme
from dynkv.render.yaml_text import as_yaml
from dynkv.secrets import is_secret, without_secrets

TEMPLATE = "dynkv@.service"
PROGRAM, OWN_PROGRAM = "/opt/dynkv/.venv/bin/dynkv", "%h/dynkv/.venv/bin/dynkv"
_PROFILES, _OWN_PROFILES = "/etc/dynkv", "%h/.config/dynkv"
_SECRETS = f"{_PROFILES}/environment"
_HOME = "/var/lib/dynkv"
_OF_THE_MACHINE = f"""\
User=dynkv
StateDirectory=dynkv
StateDirectoryMode=0700
Environment=DYNKV_HOME={_HOME}
EnvironmentFile=-{_SECRETS}
"""
_UNIT = """\
[Unit]
Description=dynkv: LLM serving{of_what}
{after}
[Service]
Type=notify
{surroundings}ExecStart={program} up {profile} --foreground
TimeoutStartSec=infinity
TimeoutStopSec=120
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
WatchdogSec=60
KillMode=process
OOMPolicy=continue
{limits}
[Install]
WantedBy={target}.target
"""
_LIMITS = "LimitNOFILE=65536\nLimitMEMLOCK=infinity\n"


def unit_text(profile: str, program: str = "", *, is_user: bool = False) -> str:
    """The unit that runs `dynkv up PROFILE`; a profile with `%i` in it makes it a template."""
    return _UNIT.format(
        of_what=" (%i)" if "%i" in profile else "",
        after="" if is_user else "After=network.target\n",
        surroundings="" if is_user else _OF_THE_MACHINE,
        program=program or (OWN_PROGRAM if is_user else PROGRAM),
        profile=profile,
        limits="" if is_user else _LIMITS,
        target="default" if is_user else "multi-user",
    )


def template_text(program: str = "", *, is_user: bool = False) -> str:
    """A template for any profile in its directory, each a deployment with the file's name."""
    return unit_text(f"{_OWN_PROFILES if is_user else _PROFILES}/%i.yaml", program, is_user=is_user)


def systemd_files(profile: Profile, name: str, program: str, *, is_user: bool) -> dict[str, str]:
    """Files by path: the unit, the whole profile without secrets, and a README."""
    data, left_out = _without_secrets(profile.model_dump(mode="json", exclude_unset=True))
    head = [f"By `dynkv export systemd`. Copy it into {_PROFILES if not is_user else '~/.config/dynkv'}."]
    head += [f"Left out, because it is a secret: {what}" for what in left_out]
    return {
        TEMPLATE: template_text(program, is_user=is_user),
        f"{name}.yaml": as_yaml(data, head),
        "README.md": _readme(name, program, left_out, is_user=is_user).text(),
    }


def _without_secrets(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The profile as it may be written, and the keys that were left out."""
    left_out: list[str] = []
    kept = _kept(data, (), left_out)
    return kept, left_out


def _kept(value: Any, path: tuple[str, ...], left_out: list[str]) -> Any:
    """The value without secrets, which only occur under `env` and `webhook`; a hook that posts is left out entirely."""
    if isinstance(value, dict):
        if path[-1:] == ("env",):
            left_out += [".".join((*path, name)) for name, text in value.items() if is_secret(name, text)]
            return without_secrets(value)
        return {name: _kept(inner, (*path, name), left_out) for name, inner in value.items()}
    if isinstance(value, list):
        hooks = [f"notify.{number}.webhook" for number, it in enumerate(value) if path == ("notify",) and _posts(it)]
        left_out += hooks
        return [_kept(it, (*path, str(n)), left_out) for n, it in enumerate(value) if not (hooks and _posts(it))]
    return value


def _posts(hook: Any) -> bool:
    return isinstance(hook, dict) and bool(hook.get("webhook"))


def _readme(name: str, program: str, left_out: list[str], *, is_user: bool) -> Readme:
    return Readme(
        f"{name} under systemd",
        list(_needs(name, program, is_user=is_user)),
        list(_start(name, is_user=is_user)),
        [("Your shell's variables", "write what the stack needs into the profile's `env`")],
        list(_secrets(name, left_out, is_user=is_user)),
    )


def _needs(name: str, program: str, *, is_user: bool) -> Iterator[str]:
    yield f"dynkv at `{program or (OWN_PROGRAM if is_user else PROGRAM)}`, with its stack, or where `--program` says."
    yield "systemd 243 or later."
    if not is_user:
        yield f"A user `dynkv` that may use the GPUs and read `{_PROFILES}/{name}.yaml`; its state is in `{_HOME}`."


def _start(name: str, *, is_user: bool) -> Iterator[str]:
    if is_user:
        yield "mkdir -p ~/.config/systemd/user ~/.config/dynkv"
        yield f"cp {TEMPLATE} ~/.config/systemd/user/ && cp {name}.yaml ~/.config/dynkv/"
        yield f"systemctl --user daemon-reload && systemctl --user enable --now dynkv@{name}"
        yield "loginctl enable-linger"
        return
    yield "useradd --system --home-dir /var/lib/dynkv dynkv"
    yield f"mkdir -p {_PROFILES} && cp {name}.yaml {_PROFILES}/"
    yield f"cp {TEMPLATE} /etc/systemd/system/"
    yield f"systemctl daemon-reload && systemctl enable --now dynkv@{name}"


def _secrets(name: str, left_out: list[str], *, is_user: bool) -> Iterator[str]:
    if not is_user:
        yield (
            f"These files contain no secrets. `HF_TOKEN` and others that the stack knows by name are read from "
            f"`{_SECRETS}`, a file of variables that only root can read:"
        )
        yield f'    mkdir -p {_PROFILES}\n    (umask 077; echo "HF_TOKEN=$HF_TOKEN" >{_SECRETS})'
    if left_out:
        yield (
            f"Left out of `{name}.yaml`: {', '.join(f'`{key}`' for key in left_out)}. Add them to the copy that "
            "the service reads, and let only its user read it."
        )
