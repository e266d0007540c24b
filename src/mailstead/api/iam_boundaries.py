"""IAM operations on permissions boundaries of users and roles."""

from __future__ import annotations

from mailstead.api.iam import Params, boundary_key, home, user_arn
from mailstead.api.iam_roles import role_arn
from mailstead.api.operation import Call, operation
from mailstead.mail.iam import Role, User
from mailstead.mail.iam_policies import set_boundary


@operation("iam", "PutUserPermissionsBoundary", open_=True)
async def put_user_permissions_boundary(call: Call, p: Params) -> None:
    key = boundary_key(p["PermissionsBoundary"])
    call.authorise("iam:PutUserPermissionsBoundary", await user_arn(call, p), key)
    user = await call.ports.iam.user(home(call), p["UserName"])
    await set_boundary(call.ports.iam, home(call), user, p["PermissionsBoundary"])


@operation("iam", "PutRolePermissionsBoundary", open_=True)
async def put_role_permissions_boundary(call: Call, p: Params) -> None:
    key = boundary_key(p["PermissionsBoundary"])
    call.authorise("iam:PutRolePermissionsBoundary", await role_arn(call, p), key)
    role = await call.ports.iam.role(home(call), p["RoleName"])
    await set_boundary(call.ports.iam, home(call), role, p["PermissionsBoundary"])


@operation("iam", "DeleteUserPermissionsBoundary", open_=True)
async def delete_user_permissions_boundary(call: Call, p: Params) -> None:
    found = await call.ports.store.get(User, home(call), p["UserName"].lower())
    key = boundary_key(found.boundary if found is not None else "")
    call.authorise("iam:DeleteUserPermissionsBoundary", await user_arn(call, p), key)
    user = await call.ports.iam.user(home(call), p["UserName"])
    await set_boundary(call.ports.iam, home(call), user, "")


@operation("iam", "DeleteRolePermissionsBoundary", open_=True)
async def delete_role_permissions_boundary(call: Call, p: Params) -> None:
    found = await call.ports.store.get(Role, home(call), p["RoleName"].lower())
    key = boundary_key(found.boundary if found is not None else "")
    call.authorise("iam:DeleteRolePermissionsBoundary", await role_arn(call, p), key)
    role = await call.ports.iam.role(home(call), p["RoleName"])
    await set_boundary(call.ports.iam, home(call), role, "")
