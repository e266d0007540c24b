"""How many DNS answers a network gets over UDP."""

from collections import Counter
from ipaddress import ip_network
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from mailstead.mail.response_rates import ALL_FACTOR, ResponseRates, Verdict
from mailstead.wire.dns import truncated

SEND, TRUNCATE, DROP = Verdict.SEND, Verdict.TRUNCATE, Verdict.DROP


def reply(name: str = "a.example", rcode: int = 0, answer: bool = True) -> bytes:
    message = dns.message.make_response(dns.message.make_query(name, "A", use_edns=0))
    message.set_rcode(dns.rcode.Rcode(rcode))
    if answer:
        message.find_rrset(1, message.question[0].name, 1, 1, create=True)
        rdata = dns.rdata.from_text("IN", "A", "192.0.2.1")
        message.answer[0].add(rdata, 300)
    return message.to_wire()


def tally(
    rates: ResponseRates, times: int, client: str = "192.0.2.7", **about: Any
) -> Counter[Verdict]:
    return Counter(rates.verdict(client, reply(**about), 1.5) for _ in range(times))


def test_too_many_alike_are_cut_or_dropped_in_turn() -> None:
    rates = ResponseRates(3)
    assert [rates.verdict("192.0.2.1", reply(), 1.0) for _ in range(8)] == [
        SEND, SEND, SEND, DROP, TRUNCATE, DROP, TRUNCATE, DROP,
    ]  # fmt: skip
    assert rates.verdict("192.0.2.1", reply(), 2.0) is SEND


def test_a_network_counts_as_one_client() -> None:
    rates = ResponseRates(3)
    assert tally(rates, 3)[SEND] == 3
    assert tally(rates, 1, "192.0.2.200")[SEND] == 0
    assert tally(rates, 1, "192.0.3.200")[SEND] == 1
    assert tally(rates, 3, "2001:db8:0:100::1")[SEND] == 3
    assert tally(rates, 1, "2001:db8:0:1ff::2")[SEND] == 0
    assert tally(rates, 1, "2001:db8:0:200::1%eth0")[SEND] == 1


def test_the_letter_case_of_a_question_makes_no_other() -> None:
    rates = ResponseRates(2)
    assert tally(rates, 1, name="A.Example")[SEND] == 1
    assert tally(rates, 2)[SEND] == 1
    assert tally(rates, 1, name="b.example")[SEND] == 1


@pytest.mark.parametrize("about", [{"rcode": 3, "answer": False}, {"rcode": 5}, {"answer": False}])
def test_made_up_names_are_alike(about: dict[str, Any]) -> None:
    rates = ResponseRates(2)
    sent = [tally(rates, 1, name=f"x{n}.example", **about)[SEND] for n in range(4)]
    assert sent == [1, 1, 0, 0]


def test_all_answers_of_a_network_are_counted_too() -> None:
    rates = ResponseRates(2)
    sent = [tally(rates, 1, name=f"x{n}.example")[SEND] for n in range(2 * ALL_FACTOR + 3)]
    assert sent == [1] * 2 * ALL_FACTOR + [0] * 3


@pytest.mark.parametrize("client", ["127.0.0.1", "::1", "10.1.2.3", "fd00::1"])
def test_who_is_not_counted(client: str) -> None:
    rates = ResponseRates(1, [ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert tally(rates, 50, client) == {SEND: 50}
    assert tally(rates, 50, "192.0.2.1")[SEND] == 1


def test_no_limit() -> None:
    assert tally(ResponseRates(0), 50) == {SEND: 50}


def test_a_truncated_answer_sends_its_asker_to_tcp() -> None:
    whole = reply()
    cut = dns.message.from_wire(truncated(whole))
    assert cut.id == dns.message.from_wire(whole).id
    assert cut.flags & dns.flags.TC
    assert cut.question == dns.message.from_wire(whole).question
    assert (cut.answer, cut.authority, cut.additional) == ([], [], [])
    bare = b"\x12\x34\x81\x01" + bytes(8)
    assert truncated(bare) == b"\x12\x34\x83\x01" + bytes(8)
