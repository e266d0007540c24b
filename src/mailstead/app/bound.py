"""Every port's sockets, bound before anything else is started."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from mailstead.app.options import Options
from mailstead.roles.sockets import LOOPBACK, Binding, bind, bind_both


@dataclass(slots=True)
class Bound:
    """The ports of this process, by what they are for."""

    api: Binding | None = None
    console: Binding | None = None
    mx: Binding | None = None
    submission: list[Binding] = field(default_factory=list[Binding])
    submissions: Binding | None = None
    dns_udp: Binding | None = None
    dns_tcp: Binding | None = None
    outside: Binding | None = None

    def ports(self) -> dict[str, Any]:
        """The published ports by name."""
        named: dict[str, Any] = {
            name: binding.port
            for name, binding in (
                ("api", self.api),
                ("console", self.console),
                ("mx", self.mx),
                ("submissions", self.submissions),
                ("dns", self.dns_udp),
            )
            if binding is not None
        }
        if self.submission:
            named["submission"] = [binding.port for binding in self.submission]
        return named

    def close(self) -> None:
        """Let every port go."""
        single = (
            self.api,
            self.console,
            self.mx,
            self.submissions,
            self.dns_udp,
            self.dns_tcp,
            self.outside,
        )
        for binding in (*single, *self.submission):
            if binding is not None:
                binding.close()


def bind_ports(options: Options) -> Bound:
    """Bind the ports of the roles that are asked for: all, or none and PortError."""
    ports, address = options.config.ports, options.bind
    bound = Bound()
    try:
        if "api" in options.roles:
            bound.api = bind("api", ports.api, address)
        if "web" in options.roles:
            bound.console = bind("web", ports.console, address)
        if "mx" in options.roles:
            bound.mx = bind("mx", ports.mx, address)
        if "submission" in options.roles:
            bound.submission += [bind("submission", port, address) for port in ports.submission]
            bound.submissions = bind("submission", ports.submissions, address)
        if "dns" in options.roles:
            bound.dns_udp, bound.dns_tcp = bind_both("dns", ports.dns, address)
        if "outside" in options.roles:
            bound.outside = bind("outside", 0, LOOPBACK[0])
    except BaseException:
        bound.close()
        raise
    return bound
