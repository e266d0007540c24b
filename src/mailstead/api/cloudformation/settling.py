"""Answers to what sets a stack going wait a moment for its end.

CloudFormation answers at once, and clients look at the stack at once too, then
pause: CDK and ``aws cloudformation deploy`` for 5 seconds, the AWS CLI's waiters
for 30. A stack takes tenths of a second here, so an answer that is held back
until it stands still spares every client its first pause.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from mailstead.api.operation import Call

SETTLED = "settled"
"""The topic that is woken when a stack stands still."""


async def settle(call: Call, name: str) -> None:
    """Wait until the stack, by name or ARN, stands still; no longer than the port's patience."""
    if not call.ports.patience:
        return
    stacks = call.ports.stacks
    watch = stacks.wakeups.watch(SETTLED)
    with suppress(TimeoutError):
        async with asyncio.timeout(call.ports.patience):
            while (stack := await stacks.journal.stack(call.scope, name)) and stack.moving:
                await watch.wait(call.ports.patience)
