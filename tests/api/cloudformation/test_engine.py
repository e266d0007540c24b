"""Stacks go where their template says, or back; also when the process dies on the way."""

from typing import Any

import pytest

from mailstead.api.overtaken import TRIES
from mailstead.mail.errors import Conflict, DomainError, Invalid, Refused
from support.stacks import Crash, StackWorld

TWO = """
Resources:
  One: {Type: Test::Toy, Properties: {Name: one, Colour: red}}
  Two: {Type: Test::Toy, Properties: {Name: !Sub '${One}-two', Colour: !GetAtt One.Shout}}
  Meta: {Type: AWS::CDK::Metadata, Properties: {Analytics: x}}
Outputs:
  Shout: {Value: !GetAtt One.Shout, Export: {Name: shout}}
"""


def test_a_stack_is_created_in_order(at: StackWorld) -> None:
    stack = at.create(TWO)
    assert stack.status == "CREATE_COMPLETE"
    assert at.box.toys == {
        "one": {"Name": "one", "Colour": "red"},
        "one-two": {"Name": "one-two", "Colour": "RED"},
    }
    assert [(one.key, one.value, one.export) for one in stack.outputs] == [
        ("Shout", "RED", "shout")
    ]
    told = at.told(stack)
    assert told[0] == "S CREATE_IN_PROGRESS"
    assert told[-1] == "S CREATE_COMPLETE"
    assert told.index("One CREATE_COMPLETE") < told.index("Two CREATE_IN_PROGRESS")
    stamps = [event.at for event in at.events(stack)]
    assert stamps == sorted(set(stamps))
    assert len({event.event_id for event in at.events(stack)}) == len(stamps)


def test_an_update_changes_replaces_adds_and_cleans_up(at: StackWorld) -> None:
    stack = at.create(TWO)
    changed = at.update(
        stack,
        """
Resources:
  One: {Type: Test::Toy, Properties: {Name: uno, Colour: red}}
  Three: {Type: Test::Toy, Properties: {Name: three, Colour: blue}}
""",
    )
    assert changed.status == "UPDATE_COMPLETE"
    assert sorted(at.box.toys) == ["three", "uno"]
    told = at.told(changed)
    cleanup = told.index("S UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    assert told.index("Two DELETE_COMPLETE") > cleanup
    assert told.index("One DELETE_COMPLETE") > cleanup
    assert changed.outputs == ()


def test_a_failing_creation_leaves_nothing(at: StackWorld) -> None:
    at.box.fail = {"RED"}
    stack = at.create(TWO)
    assert stack.status == "ROLLBACK_COMPLETE"
    assert at.box.toys == {}
    failed = [event for event in at.events(stack) if event.status == "CREATE_FAILED"]
    assert [(event.logical_id, event.reason) for event in failed] == [
        ("Two", "RED is out of stock")
    ]
    with pytest.raises(Invalid, match="ROLLBACK_COMPLETE"):
        at.update(stack, TWO)
    assert at.delete(stack).status == "DELETE_COMPLETE"
    at.box.fail = set()
    assert at.create(TWO).status == "CREATE_COMPLETE"


def test_a_failing_update_goes_back_to_what_was(at: StackWorld) -> None:
    stack = at.create(TWO)
    before = dict(at.box.toys)
    at.box.fail = {"black"}
    changed = at.update(
        stack,
        """
Resources:
  One: {Type: Test::Toy, Properties: {Name: uno, Colour: green}}
  Two: {Type: Test::Toy, Properties: {Name: one-two, Colour: white}}
  Zed: {Type: Test::Toy, DependsOn: [One, Two], Properties: {Name: zed, Colour: black}}
""",
    )
    assert changed.status == "UPDATE_ROLLBACK_COMPLETE"
    assert at.box.toys == before
    assert "black is out of stock" in "".join(event.reason for event in at.events(changed))
    at.box.fail = set()
    again = at.update(changed, TWO.replace("red", "pink"))
    assert again.status == "UPDATE_COMPLETE"
    assert at.box.toys["one-two"]["Colour"] == "PINK"


def test_a_taken_name_is_not_taken_over(at: StackWorld) -> None:
    at.box.toys["one"] = {"Colour": "somebody's"}
    stack = at.create(TWO)
    assert stack.status == "ROLLBACK_COMPLETE"
    assert at.box.toys == {"one": {"Colour": "somebody's"}}


def test_deletion_goes_backwards_and_keeps_what_it_should(at: StackWorld) -> None:
    stack = at.create(
        TWO.replace("Name: one, Colour: red}", "Name: one, Colour: red}, DeletionPolicy: Retain")
    )
    gone = at.delete(stack)
    assert gone.status == "DELETE_COMPLETE"
    assert list(at.box.toys) == ["one"]
    assert "One DELETE_SKIPPED" in at.told(gone)
    assert at.run(at.stacks.journal.stack(gone.scope, "S")) is None
    assert at.now(gone).status == "DELETE_COMPLETE"


def test_a_deletion_that_fails_can_be_repeated(at: StackWorld) -> None:
    stack = at.create(TWO)
    at.box.fail = {"one"}
    failed = at.delete(stack)
    assert failed.status == "DELETE_FAILED"
    assert list(at.box.toys) == ["one"]
    assert at.delete(failed, "One").status == "DELETE_COMPLETE"


def test_a_change_set_that_imports_adopts_what_stands(at: StackWorld) -> None:
    at.box.toys["one"] = {"Name": "one", "Colour": "red"}
    given = at.change_set("CREATE", TWO, imports=True)
    assert [(one.action, one.logical_id, one.physical_id) for one in given.changes] == [
        ("Add", "Meta", ""),
        ("Import", "One", "one"),
        ("Add", "Two", ""),
    ]
    stack = at.execute("S", given)
    assert stack.status == "CREATE_COMPLETE"
    assert sorted(at.box.toys) == ["one", "one-two"]


def test_what_was_adopted_survives_a_rollback(at: StackWorld) -> None:
    at.box.toys["one"] = {"Name": "one", "Colour": "red"}
    at.box.fail = {"RED"}
    stack = at.execute("S", at.change_set("CREATE", TWO, imports=True))
    assert stack.status == "ROLLBACK_COMPLETE"
    assert sorted(at.box.toys) == ["one"]


def test_properties_that_conditions_take_away_are_not_there(at: StackWorld) -> None:
    stack = at.create(
        """
Parameters:
  Lit: {Type: String, Default: ''}
Conditions:
  IsLit: !Not [!Equals [!Ref Lit, '']]
Resources:
  One:
    Type: Test::Toy
    Properties: {Name: one, Lamp: !If [IsLit, !Ref Lit, !Ref AWS::NoValue]}
"""
    )
    assert stack.status == "CREATE_COMPLETE"
    assert at.box.toys == {"one": {"Name": "one"}}


def test_who_was_overtaken_tries_again(at: StackWorld) -> None:
    stack = at.create(TWO)
    at.box.overtaken = TRIES
    failed = at.delete(stack)
    assert failed.status == "DELETE_FAILED"
    at.box.overtaken = TRIES - 1
    assert at.delete(failed).status == "DELETE_COMPLETE"
    assert at.box.toys == {}


def test_protection_and_exports_in_use_refuse_a_deletion(at: StackWorld) -> None:
    stack = at.create(TWO)
    user = at.create(
        "Resources: {T: {Type: Test::Toy, Properties: {Name: t, Colour: !ImportValue shout}}}",
        "User",
    )
    assert at.box.toys["t"]["Colour"] == "RED"
    with pytest.raises(Refused, match="in use by User"):
        at.delete(stack)
    rolled = at.update(stack, "Resources: {One: {Type: Test::Toy, Properties: {Name: one}}}")
    assert rolled.status == "UPDATE_ROLLBACK_COMPLETE"
    at.delete(user)
    protected = at.run(at.stacks.change(at.now(rolled), protected=True))
    with pytest.raises(Refused, match="TerminationProtection"):
        at.delete(protected)


def test_without_rollback_a_failure_stands_and_is_rolled_back_by_hand(at: StackWorld) -> None:
    at.box.fail = {"RED"}
    begun = at.run(at.stacks.create(at.caller, "S", at.wanted(TWO), rollback=False))
    stack = at.run(at.engine.run(begun))
    assert stack.status == "CREATE_FAILED"
    assert list(at.box.toys) == ["one"]
    back = at.run(at.stacks.roll_back(at.caller, stack))
    assert at.run(at.engine.run(back)).status == "ROLLBACK_COMPLETE"
    assert at.box.toys == {}


def test_nothing_to_do_is_said_in_aws_words(at: StackWorld) -> None:
    stack = at.create(TWO)
    with pytest.raises(Invalid) as refused:
        at.update(stack, TWO)
    assert refused.value.text == "No updates are to be performed."
    empty = at.change_set("UPDATE", TWO)
    assert empty.status == "FAILED"
    assert empty.reason.startswith("The submitted information didn't contain changes.")


def test_a_change_set_tells_before_it_does(at: StackWorld) -> None:
    first = at.change_set("CREATE", TWO)
    assert (first.status, first.execution) == ("CREATE_COMPLETE", "AVAILABLE")
    assert [(one.action, one.logical_id) for one in first.changes] == [
        ("Add", "Meta"),
        ("Add", "One"),
        ("Add", "Two"),
    ] or {one.action for one in first.changes} == {"Add"}
    stack = at.run(at.stacks.require(first.scope, "S"))
    assert stack.status == "REVIEW_IN_PROGRESS"
    done = at.run(at.engine.run(at.run(at.stacks.execute(at.caller, stack, first))))
    assert done.status == "CREATE_COMPLETE"
    second = at.change_set("UPDATE", TWO.replace("Name: one,", "Name: uno,"))
    shown = {one.logical_id: (one.action, one.replacement) for one in second.changes}
    assert shown == {"One": ("Modify", "True"), "Two": ("Modify", "Conditional")}
    with pytest.raises(Conflict):
        at.change_set("UPDATE", TWO.replace("red", "x"))
    with pytest.raises(Conflict):
        at.change_set("CREATE", TWO, change_set="other")


def test_secrets_are_used_and_not_kept(at: StackWorld) -> None:
    at.secrets["db"] = "hunter2"
    key = "'{{resolve:secretsmanager:db}}'"
    stack = at.create(f"Resources: {{T: {{Type: Test::Toy, Properties: {{Name: t, Key: {key}}}}}}}")
    assert at.box.toys["t"]["Key"] == "hunter2"
    record = at.run(at.stacks.journal.resources(stack))["T"]
    assert b"hunter2" not in record.properties
    content = b"".join(path.read_bytes() for path in at.store.path.parent.glob("mailstead.db*"))
    assert b"hunter2" not in content


@pytest.mark.parametrize("fails", [False, True], ids=["forward", "with rollback"])
def test_a_crash_at_any_step_is_survived(
    at: StackWorld, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies before each write in turn; after the restart the stack ends the same."""
    stack = at.create(TWO)
    start = dict(at.box.toys)
    target = """
Resources:
  One: {Type: Test::Toy, Properties: {Name: uno, Colour: green}}
  New: {Type: Test::Toy, DependsOn: One, Properties: {Name: new, Colour: black}}
"""
    crashes = 0
    for step in range(60):
        at.box.fail = {"black"} if fails else set()
        writes = 0
        apply = at.store.apply

        async def dying(*changes: Any, _apply: Any = apply, _step: int = step) -> None:
            nonlocal writes
            if writes == _step:
                raise Crash
            writes += 1
            await _apply(*changes)

        begun = at.run(at.stacks.update(at.caller, at.now(stack), at.wanted(target)))
        monkeypatch.setattr(at.store, "apply", dying)
        try:
            at.run(at.engine.run(begun))
        except BaseExceptionGroup:
            crashes += 1
        except Crash:
            crashes += 1
        monkeypatch.setattr(at.store, "apply", apply)
        at.restart()
        done = at.run(at.engine.run(at.now(stack)))
        if fails:
            assert done.status == "UPDATE_ROLLBACK_COMPLETE", step
            assert at.box.toys == start, step
        else:
            assert done.status == "UPDATE_COMPLETE", step
            assert sorted(at.box.toys) == ["new", "uno"], step
        if writes < step:
            break
        at.box.fail = set()
        if not fails:
            stack = at.update(done, TWO)
            start = dict(at.box.toys)
    assert crashes > 8


def test_stacks_of_one_name_and_tokens(at: StackWorld) -> None:
    stack = at.create(TWO)
    with pytest.raises(Conflict, match="already exists"):
        at.create(TWO)
    with pytest.raises(Invalid, match="pattern"):
        at.create(TWO, "9")
    with pytest.raises(DomainError, match=r"^Stack with id Nobody does not exist$"):
        at.run(at.stacks.require(stack.scope, "Nobody"))
    with pytest.raises(DomainError, match=r"^Stack \[Nobody\] does not exist$"):
        at.change_set("UPDATE", TWO, "Nobody")
