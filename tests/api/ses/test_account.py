"""SES's operations on an account, through both versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from mailstead.mail import accounts
from support.world import DAY, SCOPE, START, World

DETAILS = {
    "MailType": "TRANSACTIONAL",
    "WebsiteURL": "https://example.com",
    "ContactLanguage": "EN",
    "UseCaseDescription": "receipts",
    "AdditionalContactEmailAddresses": ["ops@example.com"],
}


def test_a_new_account(world: World) -> None:
    assert world.v2("GetAccount") == {
        "DedicatedIpAutoWarmupEnabled": True,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": False,
        "SendQuota": {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0},
        "SendingEnabled": True,
        "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    }
    quota = {"Max24HourSend": 200.0, "MaxSendRate": 1.0, "SentLast24Hours": 0.0}
    assert world.v1("GetSendQuota") == quota
    assert b'"Max24HourSend":200.0' in world.call("sesv2", "GetAccount", {}).body


def review(world: World) -> Any:
    return world.v2("GetAccount").get("Details", {}).get("ReviewDetails")


def test_production_access_is_answered_by_command(world: World) -> None:
    world.v2("PutAccountDetails", ProductionAccessEnabled=True, **DETAILS)
    account = world.v2("GetAccount")
    assert account["ProductionAccessEnabled"] is False
    case = account["Details"].pop("ReviewDetails")
    assert account["Details"] == DETAILS
    assert case["Status"] == "PENDING"
    assert case["CaseId"].isdigit()
    reply = world.call("sesv2", "PutAccountDetails", DETAILS)
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (409, "ConflictException")
    assert reply.body == b'{"message":null}'
    world.run(accounts.to_production(world.store, SCOPE))
    assert review(world) == {"Status": "GRANTED", "CaseId": case["CaseId"]}
    assert world.v2("GetAccount")["SendQuota"]["Max24HourSend"] == 50_000
    world.v2(
        "PutAccountDetails", ProductionAccessEnabled=True, **{**DETAILS, "MailType": "MARKETING"}
    )
    assert world.v2("GetAccount")["Details"]["MailType"] == "MARKETING"
    assert review(world)["Status"] == "GRANTED"


@pytest.mark.parametrize(("answer", "production"), [("GRANTED", True), ("DENIED", False)])
def test_reviews_that_the_configuration_answers(
    new_world: Callable[..., World], answer: str, production: bool
) -> None:
    world = new_world(review=answer)
    world.v2("PutAccountDetails", ProductionAccessEnabled=True, **DETAILS)
    assert world.v2("GetAccount")["ProductionAccessEnabled"] is production
    assert review(world)["Status"] == answer
    assert world.v2("GetAccount", region="eu-west-1")["ProductionAccessEnabled"] is False
    again = world.call("sesv2", "PutAccountDetails", DETAILS)
    assert again.status == (200 if production else 409)


def test_details_without_asking_for_production(world: World) -> None:
    some = {"MailType": "MARKETING", "WebsiteURL": "https://x.test"}
    world.v2("PutAccountDetails", **some)
    assert world.v2("GetAccount")["Details"] == some
    world.v2("PutAccountDetails", ProductionAccessEnabled=True, **some)
    assert review(world)["Status"] == "PENDING"
    found = world.refused(2, "PutAccountDetails", MailType="MARKETING")
    assert "'websiteURL'" in found[1]


def test_pause_and_go_on(world: World) -> None:
    world.v2("PutAccountSendingAttributes", SendingEnabled=True)
    assert world.v1("GetAccountSendingEnabled") == {"Enabled": True}
    world.v1("UpdateAccountSendingEnabled")
    assert world.v2("GetAccount")["SendingEnabled"] is False
    world.v1("UpdateAccountSendingEnabled", Enabled=True)
    assert world.v2("GetAccount")["SendingEnabled"] is True
    world.v2("PutAccountSendingAttributes")
    assert world.v1("GetAccountSendingEnabled") == {"Enabled": False}


def test_suppression_reasons(world: World) -> None:
    world.v2("PutAccountSuppressionAttributes", SuppressedReasons=["COMPLAINT", "COMPLAINT"])
    assert world.v2("GetAccount")["SuppressionAttributes"]["SuppressedReasons"] == ["COMPLAINT"]
    world.v2("PutAccountSuppressionAttributes")
    assert world.v2("GetAccount")["SuppressionAttributes"]["SuppressedReasons"] == []


def test_statistics_of_two_weeks(world: World) -> None:
    world.production()
    world.verified("example.com")
    message = {
        "Source": "a@example.com",
        "Message": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}},
    }
    two = {"ToAddresses": ["b@example.com"], "CcAddresses": ["c@example.com"]}
    assert world.v1("GetSendStatistics")["SendDataPoints"] == []
    for later in (0, DAY):
        world.clock.time = START + later
        world.v1("SendEmail", **message, Destination=two)
    points = world.v1("GetSendStatistics")["SendDataPoints"]
    assert points[0] == {
        "Timestamp": datetime(2022, 8, 10, 16, tzinfo=UTC),
        "DeliveryAttempts": 2,
        "Bounces": 0,
        "Complaints": 0,
        "Rejects": 0,
    }
    assert len(points) == 2
    world.clock.time = START + 14 * DAY + 3_600_000
    assert len(world.v1("GetSendStatistics")["SendDataPoints"]) == 1
