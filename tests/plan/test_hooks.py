"""Hooks in a profile: what is planned, what is refused, and that no address appears in the plan."""

from __future__ import annotations

from pathlib import Path

import pytest
from hosts import HOME, host

from dynkv.documents import encoded
from dynkv.errors import ProfileError, UsageError
from dynkv.plan.build import build
from dynkv.plan.difference import difference
from dynkv.plan.environment import handed_on_as_secrets, handed_on_as_text, kept_secrets
from dynkv.plan.model import Plan
from dynkv.profile.load import load
from dynkv.profile.model import Profile
from dynkv.secrets import masked

SLACK = "https://hooks.slack.com/services/T0123/B0123/aBcDeFgHiJ"
UNIT = "topology: none\nunits:\n  - {name: web, argv: [web]}\n"


def profile(tmp_path: Path, hooks: str, rest: str = UNIT) -> Profile:
    path = tmp_path / "mine.yaml"
    path.write_text(f"{rest}notify: {hooks}\n")
    return load(str(path)).profile


def planned(given: Profile) -> Plan:
    return build(given, host(), name="mine", profile_name="mine", home=HOME)


def test_a_command_is_planned_with_the_deployments_environment(tmp_path: Path) -> None:
    (hook,) = planned(profile(tmp_path, "[{on: [failed], command: [/bin/page, me], timeout_s: 5}]")).hooks
    assert (hook.name, hook.on, hook.argv, hook.timeout_s) == ("page", ("failed",), ("/bin/page", "me"), 5)
    assert hook.env["PATH"] == "/usr/bin:/bin"


def test_an_address_is_kept_in_memory_alone(tmp_path: Path) -> None:
    given = profile(tmp_path, f"[{{webhook: '{SLACK}'}}]")
    plan = planned(given)
    assert plan.hooks[0].name == "the webhook at hooks.slack.com"
    assert b"aBcDeFgHiJ" not in encoded(plan)
    assert kept_secrets(given, plan)[plan.hooks[0].url_in] == SLACK


def test_what_posts_gets_the_certificates_and_a_proxy_with_a_password_but_no_other_secret(tmp_path: Path) -> None:
    given = profile(tmp_path, f"[{{webhook: '{SLACK}'}}, {{command: [/bin/page]}}]")
    environ = {"SSL_CERT_FILE": "/ca.pem", "HTTPS_PROXY": "http://me:aBcDeFgHiJ@proxy:3128", "HF_TOKEN": "x"}
    facts = host(environ=handed_on_as_text(environ), secret_names=handed_on_as_secrets(environ))
    posts, runs = build(given, facts, name="mine", profile_name="mine", home=HOME).hooks
    assert (posts.secret_env, runs.secret_env) == (("HTTPS_PROXY",), ("HF_TOKEN", "HTTPS_PROXY"))
    assert (posts.env["SSL_CERT_FILE"], "HF_TOKEN" in posts.env) == ("/ca.pem", False)


def test_another_address_is_a_change_of_the_supervisor_alone(tmp_path: Path) -> None:
    before, after = (planned(profile(tmp_path, f"[{{webhook: '{SLACK}{more}'}}]")) for more in ("", "x"))
    found = difference(before, after, is_same_version=True)
    assert found.reasons == ("notifications",)
    assert [unit.action for unit in found.units] == ["keep"]


@pytest.mark.parametrize(
    ("hooks", "what"),
    [
        ("[{on: [degraded]}]", "give one of command, webhook and webhook_file"),
        ("[{command: [x], webhook: 'http://h/'}]", "give one of command, webhook and webhook_file"),
        ("[{on: [], command: [x]}]", "at least 1 item"),
        ("[{command: [bin/page]}]", "bin/page is not an absolute path"),
        ("[{command: [page, '--token=aBcDeFgHiJ']}]", "would show in the command line"),
        ("[{webhook: 'ftp://h/aBcDeFgHiJ'}]", "this is not an address to post to"),
        ("[{webhook: 'http://h:x/aBcDeFgHiJ'}]", "this is not an address to post to"),
        ("[{webhook: 'http://h/a b'}]", "this is not an address to post to"),
    ],
)
def test_what_is_no_hook_is_refused(tmp_path: Path, hooks: str, what: str) -> None:
    with pytest.raises(ProfileError) as refused:
        profile(tmp_path, hooks)
    assert what in refused.value.what
    assert "aBcDeFgHiJ" not in refused.value.what


def test_no_unit_has_the_log_of_hooks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'notify' is taken"):
        planned(profile(tmp_path, "[]", UNIT.replace("name: web", "name: notify")))


@pytest.mark.parametrize(
    "address",
    [
        SLACK,
        "https://discord.com/api/webhooks/123456789/aBcDeFgHiJ-klm",
        "https://api.telegram.org/bot123456:aBcDeFgHiJ/sendMessage",
        "https://mine.webhook.office.com/webhookb2/aBcDeFgHiJ@x/IncomingWebhook/y/z",
        "https://chat.googleapis.com/v1/spaces/A/messages?key=aBcDeFgHiJ&x=y",
    ],
)
def test_the_address_of_a_chats_hook_is_masked_wherever_it_stands(address: str) -> None:
    assert "aBcDeFgHiJ" not in masked(f"posting to {address} failed")
