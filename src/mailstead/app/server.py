"""A server's life: bind, open, listen, ``ready``, deliver; and the same backwards.

Ports are bound first, so that a taken one leaves nothing half started. Mail is
leased only after ``ready``. At the end delivery stops first, then the doors,
then the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import tempfile
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mailstead import __version__
from mailstead.api.cloudformation.settling import SETTLED
from mailstead.app import doors, services
from mailstead.app.announce import Announcer, log_to_stderr, process_seconds
from mailstead.app.bound import Bound, bind_ports
from mailstead.app.domain import Adapters, Domain, compose
from mailstead.app.options import ACCOUNT, REGION, Options, StartError
from mailstead.app.running import Running
from mailstead.mail import accounts
from mailstead.mail.demo import ADDRESS
from mailstead.mail.errors import DomainError, Unavailable
from mailstead.mail.iam import new_id
from mailstead.mail.iam_users import keep_root_key
from mailstead.mail.messages import EmailFilter
from mailstead.mail.model import Scope
from mailstead.mail.reception import is_loopback
from mailstead.mail.routing import CaptureRouter
from mailstead.mail.service import ensure_service_key
from mailstead.roles import tls
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness, ThreadWorkers
from mailstead.roles.crowd import Crowd
from mailstead.roles.deployer import Deployer
from mailstead.roles.mta import Mta
from mailstead.roles.net import OwnPeers
from mailstead.roles.smtpd import mx_port, outside_port
from mailstead.roles.sockets import LOOPBACK, Binding, PortError
from mailstead.roles.submissiond import submission_port
from mailstead.roles.verifier import Verifier
from mailstead.store.connection import DamagedDatabase
from mailstead.store.folder import DataFolder, FolderError
from mailstead.store.migration import NewerSchema
from mailstead.store.sealing import Seal, WrongKey
from mailstead.store.sqlite import SqliteStore
from mailstead.web.site import Site
from mailstead.wire.sigv4 import smtp_password

log = logging.getLogger("mailstead")

DRAIN_SECONDS = 5.0
"""How long deliveries under way may take at the end."""
SETTLE_SECONDS = 1.0
"""How long the answer to a stack's change waits for the stack: clients pause for 5 or 30."""
WELCOME_SECONDS = 10.0
_FOR_PEOPLE = (
    PortError,
    FolderError,
    DamagedDatabase,
    NewerSchema,
    WrongKey,
    tls.CertificateError,
    DomainError,
    StartError,
)


def run(options: Options) -> None:
    """Serve until told to stop. StartError when that can't begin, or go on."""
    # Only a process that serves needs it.
    import uvloop

    log_to_stderr(as_json=options.as_json)
    try:
        if options.folder is not None:
            uvloop.run(_Server(options, options.folder).serve())
        else:
            with tempfile.TemporaryDirectory(prefix="mailstead-") as folder:
                uvloop.run(_Server(options, Path(folder)).serve())
    except Exception as error:
        text = _explained(error)
        if text is None:
            raise
        raise StartError(text) from None


def _explained(error: BaseException) -> str | None:
    """The words of an error that people can do something about; None for our own bugs."""
    if isinstance(error, BaseExceptionGroup):
        texts = [_explained(one) for one in error.exceptions]
        return texts[0] if None not in texts else None
    if isinstance(error, Unavailable):
        what = "make room on its disk" if error.full else "look after its disk"
        return f"{error}: {what}, and start again. What was acknowledged is kept"
    return str(error) if isinstance(error, _FOR_PEOPLE) else None


class _Server:
    """One server, from its start to its end."""

    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._path = folder
        self._announcer = Announcer(as_json=options.as_json, usual_folder=options.usual_folder)
        self._stop = asyncio.Event()
        self._failure: Unavailable | None = None
        self._own = OwnPeers()

    async def serve(self) -> None:
        """From bind to the end. Unavailable where the store failed in between."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # Whoever started us may have said that a hang-up is nothing, as nohup does.
            if signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, self._stop.set)
        bound = bind_ports(self._options)
        try:
            folder = DataFolder.open(self._path)
            try:
                await self._with_store(folder, bound)
            finally:
                (folder.path / "server.json").unlink(missing_ok=True)
                folder.close()
        finally:
            bound.close()
        if self._failure is not None:
            raise self._failure

    async def _with_store(self, folder: DataFolder, bound: Bound) -> None:
        with ThreadPoolExecutor(os.cpu_count() or 2, thread_name_prefix="worker") as pool:
            randomness = SystemRandomness(pool)
            key = folder.secret_key(randomness.token)
            store = SqliteStore(
                folder.path, Seal(key, randomness.token), randomness, asyncio.get_running_loop()
            )
            try:
                await store.start()
                home = await self._home(store)
                adapters = Adapters(
                    store, SystemClock(), randomness, LocalWakeups(), ThreadWorkers(pool)
                )
                token = self._options.config.api.token or _token(folder, randomness)
                site_url = f"http://127.0.0.1:{bound.console.port if bound.console else 0}"
                domain = compose(self._options.config, adapters, home, key, lambda: site_url)
                facts = await self._prepare(folder, domain, bound, token, site_url)
                await self._with_domain(folder, domain, bound, facts)
            finally:
                store.close()

    async def _home(self, store: SqliteStore) -> Scope:
        """The account and region: as asked for, else as before, else the defaults."""
        mode = self._options.config.delivery.mode
        before = await store.setting("mode")
        if before is not None and (before == "capture") != (mode == "capture"):
            raise StartError(
                f"the data folder {self._path} was made in {before} mode, and its verifications "
                f"and queue hold for that mode only: take a new --data DIR for {mode} mode"
            )
        account = self._options.account or await store.setting("account") or ACCOUNT
        region = self._options.region or await store.setting("region") or REGION
        for name, value in (("mode", mode), ("account", account), ("region", region)):
            if await store.setting(name) != value:
                await store.set_setting(name, value)
        return Scope(account, region)

    async def _prepare(
        self, folder: DataFolder, domain: Domain, bound: Bound, token: str, site_url: str
    ) -> dict[str, Any]:
        """Everything that must be there before ``ready``; the facts of ``server.json``."""
        adapters = domain.adapters
        await domain.zones.load()
        await ensure_service_key(adapters.store, adapters.clock, adapters.randomness)
        key_id, secret = self._root_key(folder, adapters)
        await keep_root_key(domain.iam, domain.home.everywhere(), key_id, secret)
        if self._options.production:
            await accounts.to_production(adapters.store, domain.home)
        for name in self._options.verified:
            await domain.verification.grant(domain.home, name)
        settings = await accounts.account(adapters.store, domain.home)
        return {
            "pid": os.getpid(),
            "version": __version__,
            "data": str(folder.path),
            "new": folder.new,
            "account": domain.home.account,
            "region": domain.home.region,
            "access": "production" if settings.production else "sandbox",
            "ports": bound.ports(),
            "token": token,
            "console_url": site_url,
            "ca": str(folder.path / "ca.pem"),
            "access_key_id": key_id,
            "secret_access_key": secret,
            "smtp_password": smtp_password(secret, domain.home.region),
        }

    def _root_key(self, folder: DataFolder, adapters: Adapters) -> tuple[str, str]:
        """The root user's key: as given, as before, or a new one."""
        path = folder.path / "root-key.json"
        if self._options.root_key is not None:
            pair = self._options.root_key
        elif path.exists():
            try:
                kept = json.loads(path.read_text())
                return kept["access_key_id"], kept["secret_access_key"]
            except (ValueError, TypeError, KeyError):
                raise StartError(
                    f"{path} is damaged: put its copy back, or remove it for a new key"
                ) from None
        else:
            secret = b64encode(adapters.randomness.token(30)).decode()
            pair = new_id("AKIA", adapters.randomness), secret
        content = {"access_key_id": pair[0], "secret_access_key": pair[1]}
        folder.write_private("root-key.json", json.dumps(content).encode())
        return pair

    async def _with_domain(
        self, folder: DataFolder, domain: Domain, bound: Bound, facts: dict[str, Any]
    ) -> None:
        config = self._options.config
        names = (
            *LOOPBACK,
            "localhost",
            "*.localhost",
            config.server.hostname,
            f"*.{config.server.hostname}",
            *config.server.names,
        )
        context = tls.server_context(
            tls.KeyFolder(folder.path, folder.write_private, domain.adapters.randomness.tls_key),
            config.tls.certificate,
            tuple(dict.fromkeys(names)),
            domain.adapters.clock.real(),
        )
        own = (
            *LOOPBACK,
            "[::1]",
            "localhost",
            self._options.bind,
            config.server.hostname,
            *config.server.names,
        )
        hosts = frozenset(name.lower() for name in own)
        site = Site(
            domain.inbox,
            domain.verification,
            password=config.console.password,
            hosts=hosts,
            url=facts["console_url"],
            randomness=domain.adapters.randomness,
            clock=domain.adapters.clock,
        )
        access = doors.LocalAccess(facts["token"], hosts, site.one_time_link)
        async with asyncio.TaskGroup() as group:
            door = doors.submission_door(config, domain)
            crowd = Crowd(lambda address: is_loopback(address) or door.trusts(address))
            running = Running(domain, group, crowd)
            # Without the role that runs stacks nothing would end while an answer waits.
            patience = SETTLE_SECONDS if "deployer" in self._options.roles else 0.0
            beside = services.compose(config, domain, hosts, patience)
            await beside.bootstrap.ensure(domain.home)
            running.http(bound.api, lambda: self._api(domain, beside, access), context)
            running.http(bound.console, lambda: site, None)
            settings = doors.smtp_settings(config, context)
            await running.smtp(bound.mx, mx_port(settings, domain.reception, self._own))
            await running.smtp(bound.outside, outside_port(settings, domain.outside))
            for binding in bound.submission:
                await running.smtp(binding, submission_port(settings, door))
            await running.smtp(
                bound.submissions, submission_port(settings, door, implicit_tls=True), context
            )
            await running.dns(bound.dns_udp, bound.dns_tcp, config)
            deployer = Deployer(beside.moving, beside.run, domain.adapters.wakeups, SETTLED)
            await self._live(folder, domain, bound, facts, running, deployer)

    def _api(self, domain: Domain, beside: services.Services, access: doors.LocalAccess) -> Any:
        roles = sorted(self._options.roles)
        return doors.api_app(self._options.config, domain, beside, roles, access)

    async def _live(
        self,
        folder: DataFolder,
        domain: Domain,
        bound: Bound,
        facts: dict[str, Any],
        running: Running,
        deployer: Deployer,
    ) -> None:
        folder.write_private("server.json", json.dumps(facts).encode())
        self._announcer.screen(facts)
        self._announcer.ready(process_seconds())
        gc.freeze()
        mta = self._mta(domain, bound)
        deliveries = running.background(mta.run()) if "delivery" in self._options.roles else None
        verifier = running.background(
            Verifier(
                domain.verification,
                domain.adapters.store,
                domain.adapters.clock,
                domain.adapters.wakeups,
            ).run()
        )
        running.background(self._watch(domain.adapters.store))
        if "deployer" in self._options.roles:
            running.background(deployer.run())
        demo = None
        if _shows_demo(self._options) and folder.new:
            demo = running.background(self._show_demo(domain))
        await self._stop.wait()
        log.info("ending")
        for task in (demo, verifier):
            if task is not None:
                task.cancel()
        mta.stop()
        if deliveries is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await asyncio.wait([deliveries])
            deliveries.cancel()
        await running.stop()

    async def _watch(self, store: SqliteStore) -> None:
        """End when the store fails: going on would answer everything with an error."""
        self._failure = await store.failure()
        self._stop.set()

    def _mta(self, domain: Domain, bound: Bound) -> Mta:
        def port(binding: Binding | None) -> Callable[[], int]:
            return lambda: binding.port if binding is not None else 0

        router = CaptureRouter(domain.mailboxes, domain.names, port(bound.mx), port(bound.outside))
        return Mta(
            domain.deliveries,
            router,
            domain.adapters.wakeups,
            tls.client_context(),
            self._own,
        )

    async def _show_demo(self, domain: Domain) -> None:
        """Make the demo, and say what became of its message."""
        try:
            password, message_id = await domain.demo.make()
        except (DomainError, Unavailable) as error:
            log.warning("there is no demo: %s", error)
            return
        self._announcer.demo(ADDRESS, password)
        if "delivery" not in self._options.roles:
            return
        begun = domain.adapters.clock.ticks()
        wanted = EmailFilter(message_id=message_id)
        if await domain.inbox.find(wanted, seconds=WELCOME_SECONDS):
            self._announcer.welcome(message_id, int((domain.adapters.clock.ticks() - begun) * 1000))


def _token(folder: DataFolder, randomness: SystemRandomness) -> str:
    """The API token of a data folder, made at its first start."""
    path = folder.path / "api-token"
    if not path.exists():
        folder.write_private("api-token", randomness.token(24).hex().encode())
    return path.read_text().strip()


def _shows_demo(options: Options) -> bool:
    """Whether a new data folder begins with the demo: not where tests make their own."""
    return options.folder is not None and options.root_key is None
