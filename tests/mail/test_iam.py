"""IAM's domain below the API: credentials, SMTP log-ins, sessions, limits that races meet."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail import iam_policies, iam_users
from mailstead.mail.access import Request, decide
from mailstead.mail.credentials import LIFE, REGIONS, Credentials
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.iam import AWS_POLICIES, Iam, KeyUses, Session, User, with_tags
from mailstead.mail.model import Scope
from mailstead.mail.ports import Remove, Replace
from mailstead.roles.clock import SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from mailstead.wire.sigv4 import smtp_password

SCOPE = Scope("111122223333", "us-east-1").everywhere()
ALL = json.dumps({"Statement": [{"Effect": "Allow", "Action": "ses:*", "Resource": "*"}]})


class StillClock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = 1_000_000_000_000
        self.tick = 0.0

    def now(self) -> int:
        return self.at

    def real(self) -> int:
        return self.at

    def ticks(self) -> float:
        return self.tick


class Scene:
    """IAM over a store of its own."""

    def __init__(self, store: SqliteStore, randomness: SystemRandomness) -> None:
        self.store = store
        self.clock = StillClock()
        self.credentials = Credentials(store, self.clock)
        self.iam = Iam(store, self.clock, randomness, self.credentials.clear)

    async def user_with_key(self) -> tuple[str, str]:
        """A user ``u`` with a key: its id and secret."""
        user = await iam_users.create_user(self.iam, SCOPE, "u")
        key = await iam_users.create_access_key(self.iam, SCOPE, user)
        return key.name, key.secret.decode()


Played = Callable[[Scene], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Played], None]:
    """Run a coroutine function on a fresh scene."""

    async def whole(body: Played) -> None:
        with ThreadPoolExecutor(1) as pool:
            randomness = SystemRandomness(pool)
            seal = Seal(b"k" * 32, randomness.token)
            store = SqliteStore(tmp_path, seal, randomness, asyncio.get_running_loop())
            await store.start()
            try:
                await body(Scene(store, randomness))
            finally:
                store.close()

    return lambda body: asyncio.run(whole(body))


def test_smtp_log_ins(play: Any) -> None:
    async def body(scene: Scene) -> None:
        key_id, secret = await scene.user_with_key()

        async def login(password: str, first: str = "us-east-1") -> Any:
            return await scene.credentials.smtp_login(key_id, password, first)

        for region in (*REGIONS, "xx-own-1"):
            principal, scope = await login(smtp_password(secret, region), "xx-own-1")
            assert principal.user_name == "u"
            assert scope == Scope(SCOPE.account, region)
        assert await login(smtp_password("other", "us-east-1")) is None
        assert await login(smtp_password(secret, "xx-nowhere-1")) is None
        for garbled in ("", "x", secret, "A" * 44, "BAAA", "\xe4"):
            assert await login(garbled) is None
        assert await scene.credentials.smtp_login("nobody", "x", "us-east-1") is None
        session = await iam_users.open_session(scene.iam, SCOPE, "u", 900)
        password = smtp_password(session.secret.decode(), "us-east-1")
        assert await scene.credentials.smtp_login(session.name, password, "us-east-1") is None

    play(body)


def test_what_was_found_is_kept_for_a_while(play: Any) -> None:
    async def body(scene: Scene) -> None:
        key_id, secret = await scene.user_with_key()
        found = await scene.credentials.find(key_id)
        assert found is not None
        assert (found.secret, found.principal.is_root) == (secret, False)
        assert secret not in repr(found)
        assert await scene.credentials.find(key_id) is found
        # Another node of a fleet takes the key away.
        user = await scene.iam.user(SCOPE, "u")
        key = await iam_users.access_key(scene.iam, SCOPE, user, key_id)
        await scene.store.apply(Remove(key))
        assert await scene.credentials.find(key_id) is found
        scene.clock.tick += LIFE + 1
        assert await scene.credentials.find(key_id) is None
        assert await iam_users.access_keys(scene.iam, SCOPE, user) == []

    play(body)


def test_not_more_is_kept_than_the_limit(play: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstead.mail.credentials.MOST", 2)

    async def body(scene: Scene) -> None:
        key_id, _ = await scene.user_with_key()
        first = await scene.credentials.find(key_id)
        await scene.credentials.find("a")
        await scene.credentials.find("b")
        assert await scene.credentials.find(key_id) is not first
        uses = KeyUses(2)
        for name in "abc":
            uses.note(name, 5, "ses", "us-east-1")
        assert uses.last("a") is None
        assert uses.last("c") == (5, "ses", "us-east-1")

    play(body)


def test_policies_of_users_and_groups_count(play: Any) -> None:
    async def body(scene: Scene) -> None:
        key_id, _ = await scene.user_with_key()

        async def may(action: str) -> bool:
            found = await scene.credentials.find(key_id)
            assert found is not None
            return decide(found.principal, Request(action)).allowed

        assert not await may("ses:SendEmail")
        group = await iam_users.create_group(scene.iam, SCOPE, "g")
        await iam_users.join_group(scene.iam, SCOPE, "g", "u")
        await iam_policies.put_inline(scene.iam, group, "p", ALL)
        assert await may("ses:SendEmail")
        own = await iam_policies.create_policy(
            scene.iam, SCOPE, "Zones", ALL.replace("ses:", "route53:")
        )
        for arn in (own.arn, "arn:aws:iam::aws:policy/IAMFullAccess"):
            user = await scene.iam.user(SCOPE, "u")
            await iam_policies.attach(scene.iam, SCOPE, user, arn)
        assert await may("route53:ListHostedZones")
        assert await may("iam:GetUser")
        # What another node has taken away is only not there any more.
        await scene.store.apply(Remove(own), Remove(await scene.iam.group(SCOPE, "g")))
        scene.credentials.clear()
        assert not await may("route53:ListHostedZones")
        assert not await may("ses:SendEmail")

    play(body)


def test_a_key_without_its_user_opens_nothing(play: Any) -> None:
    async def body(scene: Scene) -> None:
        key_id, _ = await scene.user_with_key()
        session = await iam_users.open_session(scene.iam, SCOPE, "u", 900)
        await scene.iam.apply(Remove(await scene.iam.user(SCOPE, "u")))
        assert await scene.credentials.find(key_id) is None
        assert await scene.credentials.find(session.name) is None

    play(body)


def test_the_root_key_is_what_the_configuration_says(play: Any) -> None:
    async def body(scene: Scene) -> None:
        for secret in ("one", "one", "two"):
            await iam_users.keep_root_key(scene.iam, Scope(SCOPE.account, "x"), "test", secret)
            found = await scene.credentials.find("test")
            assert found is not None
            assert (found.secret, found.principal.is_root) == (secret, True)
        assert await iam_users.owner_of(scene.iam, SCOPE, "test") is None
        with pytest.raises(NotFound):
            await iam_users.owner_of(scene.iam, SCOPE, "none")
        [key] = await iam_users.access_keys(scene.iam, SCOPE, None)
        await iam_users.update_access_key(scene.iam, SCOPE, None, key.name, active=False)
        assert await scene.credentials.find("test") is None
        await iam_users.keep_root_key(scene.iam, SCOPE, "test", "two")
        assert await scene.credentials.find("test") is not None

    play(body)


def test_sessions_end_and_are_forgotten(play: Any) -> None:
    async def body(scene: Scene) -> None:
        first = await iam_users.open_session(scene.iam, SCOPE, "", 129_600)
        assert first.expires_at - scene.clock.at == 3_600_000
        scene.clock.at += iam_users.DAY
        await iam_users.open_session(scene.iam, SCOPE, "", 900)
        assert await scene.store.find(Session, first.name) == first
        scene.clock.at += iam_users.DAY
        await iam_users.open_session(scene.iam, SCOPE, "", 900)
        assert await scene.store.find(Session, first.name) is None
        for seconds in (899, 129_601):
            with pytest.raises(Invalid):
                await iam_users.open_session(scene.iam, SCOPE, "", seconds)

    play(body)


def test_two_at_once_cannot_pass_the_limit_of_keys(play: Any) -> None:
    async def body(scene: Scene) -> None:
        await scene.user_with_key()
        user = await scene.iam.user(SCOPE, "u")
        results = await asyncio.gather(
            *(iam_users.create_access_key(scene.iam, SCOPE, user) for _ in range(3)),
            return_exceptions=True,
        )
        refused = [one for one in results if isinstance(one, Conflict)]
        assert [one.reason for one in refused] == ["stale", "stale"]
        user = await scene.iam.user(SCOPE, "u")
        assert len(await iam_users.access_keys(scene.iam, SCOPE, user)) == 2

    play(body)


def test_renaming_what_changed_meanwhile(play: Any) -> None:
    async def body(scene: Scene) -> None:
        await scene.user_with_key()
        user = await scene.iam.user(SCOPE, "u")

        class Racing(Iam):
            async def user(self, scope: Scope, name: str) -> User:
                return replace(user, path="/other/")

        racing = Racing(scene.store, scene.clock, scene.iam.randomness, scene.iam.changed)
        with pytest.raises(Conflict) as caught:
            await iam_users.update_user(racing, SCOPE, "u", "v", None)
        assert caught.value.reason == "stale"

    play(body)


def test_leaving_a_group_and_a_user_in_one(play: Any) -> None:
    async def body(scene: Scene) -> None:
        user = await iam_users.create_user(scene.iam, SCOPE, "u")
        await iam_users.create_group(scene.iam, SCOPE, "g")
        await iam_users.join_group(scene.iam, SCOPE, "g", "u")
        with pytest.raises(Conflict, match="must remove users from group first"):
            await iam_users.delete_user(scene.iam, SCOPE, "u")
        await iam_users.leave_group(scene.iam, SCOPE, "g", "u")
        await iam_users.delete_user(scene.iam, SCOPE, "u")
        with pytest.raises(NotFound, match="The group with name h cannot be found"):
            await scene.iam.group(SCOPE, "h")
        with pytest.raises(Conflict):
            await scene.iam.apply(Replace(user, user))

    play(body)


def test_tags() -> None:
    assert with_tags({"a": "1"}, {"a": "2", "b": ""}) == {"a": "2", "b": ""}
    with pytest.raises(Limit, match="TagsPerResource: 50"):
        with_tags({}, {str(number): "" for number in range(51)})
    with pytest.raises(Invalid):
        with_tags({}, {"AWS:x": ""})


def test_names_that_are_none(play: Any) -> None:
    async def body(scene: Scene) -> None:
        with pytest.raises(Invalid, match="less than or equal to 64"):
            await iam_users.create_user(scene.iam, SCOPE, "x" * 65)
        with pytest.raises(Invalid, match="alphanumeric"):
            await iam_users.create_user(scene.iam, SCOPE, "a b")

    play(body)


def test_awss_own_policies() -> None:
    assert {arn.rpartition("/")[2] for arn in AWS_POLICIES} >= {
        "AdministratorAccess",
        "AmazonSESFullAccess",
        "AmazonSESReadOnlyAccess",
    }
    for policy in AWS_POLICIES.values():
        assert policy.document.startswith("{")
