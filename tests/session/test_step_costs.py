"""What steps cost is told as it was; a step that heard nothing anew says nothing about speed."""

from livecap.session.step_costs import RTF_STEPS, StepCost, StepCosts
from livecap.stream.recogniser import StageSeconds


def cost(sound=1.0, compute=0.25):
    return StepCost(1.0, "", sound, compute, 0.0, StageSeconds(0.0625, 0.0625, 0.0, 0.0))


def test_rtf_is_that_of_the_last_steps():
    costs = StepCosts()
    assert costs.rtf is None and costs.last is None
    for _ in range(20):
        costs.note(cost(compute=1.0))
    for _ in range(RTF_STEPS):
        costs.note(cost())
    costs.note(cost(sound=0.0))
    assert costs.rtf == 0.25 and costs.compute_seconds == 22.75


def test_what_is_in_no_stage_is_the_hosts():
    assert cost().host_seconds == 0.125
