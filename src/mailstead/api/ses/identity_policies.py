"""SES operations on what is attached to identities: sending authorisation policies, and tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.ses.identities import arn, named, tags_in, tags_out
from mailstead.api.ses.identities_v1 import certain, found
from mailstead.mail import sending_policies
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.identities import check_tags
from mailstead.mail.model import Identity

Params = dict[str, Any]


# Policies


@operation("sesv2", "CreateEmailIdentityPolicy", resources=arn)
async def create_email_identity_policy(call: Call, p: Params) -> None:
    await _put(call, p, await named(call, p), exists=False)


@operation("sesv2", "UpdateEmailIdentityPolicy", resources=arn)
async def update_email_identity_policy(call: Call, p: Params) -> None:
    await _put(call, p, await named(call, p), exists=True)


@operation("ses", "PutIdentityPolicy")
async def put_identity_policy(call: Call, p: Params) -> None:
    await _put(call, p, await certain(call, p["Identity"]), exists=None)


async def _put(call: Call, p: Params, identity: Identity, *, exists: bool | None) -> None:
    identities, name = call.ports.identities, p["PolicyName"]
    await sending_policies.put(identities, identity, name, p["Policy"], exists=exists)


@operation("sesv2", "DeleteEmailIdentityPolicy", resources=arn)
async def delete_email_identity_policy(call: Call, p: Params) -> None:
    await sending_policies.remove(call.ports.identities, await named(call, p), p["PolicyName"])


@operation("ses", "DeleteIdentityPolicy")
async def delete_identity_policy(call: Call, p: Params) -> None:
    identity = await certain(call, p["Identity"])
    await sending_policies.remove(call.ports.identities, identity, p["PolicyName"])


@operation("sesv2", "GetEmailIdentityPolicies", resources=arn)
async def get_email_identity_policies(call: Call, p: Params) -> Params:
    return {"Policies": (await named(call, p)).policies}


@operation("ses", "GetIdentityPolicies")
async def get_identity_policies(call: Call, p: Params) -> Params:
    held = (await certain(call, p["Identity"])).policies
    return {"Policies": {name: held[name] for name in p["PolicyNames"] if name in held}}


@operation("ses", "ListIdentityPolicies")
async def list_identity_policies(call: Call, p: Params) -> Params:
    return {"PolicyNames": sorted((await certain(call, p["Identity"])).policies)}


# Tags


def _arn(call: Call, p: Params) -> Sequence[str]:
    return (p["ResourceArn"],)


@operation("sesv2", "TagResource", resources=_arn)
async def tag_resource(call: Call, p: Params) -> None:
    identity = await _tagged(call, p)
    check_tags(tags := {**identity.tags, **tags_in(p)})
    await call.ports.identities.change(identity, replace(identity, tags=tags))


@operation("sesv2", "UntagResource", resources=_arn)
async def untag_resource(call: Call, p: Params) -> None:
    identity = await _tagged(call, p)
    tags = {key: value for key, value in identity.tags.items() if key not in p["TagKeys"]}
    await call.ports.identities.change(identity, replace(identity, tags=tags))


@operation("sesv2", "ListTagsForResource", resources=_arn)
async def list_tags_for_resource(call: Call, p: Params) -> Params:
    return {"Tags": tags_out(await _tagged(call, p))}


_KINDS = {
    "identity": "EmailIdentity",
    "configuration-set": "ConfigurationSet",
    "contact-list": "ContactList",
    "dedicated-ip-pool": "DedicatedIpPool",
}
"""What SES calls the kinds of things that have tags; here identities alone do so far."""


async def _tagged(call: Call, p: Params) -> Identity:
    """The identity that an ARN names."""
    prefix = f"arn:aws:ses:{call.scope.region}:{call.scope.account}:"
    kind, _, name = p["ResourceArn"].removeprefix(prefix).partition("/")
    if not p["ResourceArn"].startswith(prefix) or kind not in _KINDS:
        raise Invalid(f"Invalid ARN: {p['ResourceArn']}", resource="tag")
    identity = await found(call, name) if kind == "identity" else None
    if identity is None:
        text = f"No {_KINDS[kind]} present with name: {name}"
        raise NotFound(text, resource=kind, name=name)
    return identity
