"""What runs by itself, and what tells that something is wrong."""

from __future__ import annotations

import pytest

from tests.template.stack import Stack


def test_somebody_sweeps_each_minute_and_what_fails_is_left_to_the_next(stack: Stack) -> None:
    (schedule,) = stack.of_type("AWS::Scheduler::Schedule").values()
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    assert schedule["Name"].startswith("shop-")  # the stack's name: names are unique per account
    assert schedule["Target"]["Arn"] == "InvalidateFunction.Arn"
    assert schedule["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 0}
    config = stack.of_type("AWS::Lambda::EventInvokeConfig")["InvalidateFunctionEventInvokeConfig"]
    assert (config["FunctionName"], config["MaximumRetryAttempts"]) == ("InvalidateFunction", 0)


@pytest.mark.parametrize("mode", ["listen", "schedule"])
def test_the_mode_of_invalidation_reaches_the_function(mode: str) -> None:
    function = Stack(Invalidation=mode).functions["InvalidateFunction"]
    assert function["Environment"]["Variables"]["INVALIDATION"] == mode


def test_a_stale_answer_raises_the_alarm_and_silence_does_not(stack: Stack) -> None:
    (alarm,) = stack.of_type("AWS::CloudWatch::Alarm").values()
    environment = stack.functions["InvalidateFunction"]["Environment"]["Variables"]
    assert alarm["Namespace"] == environment["POWERTOOLS_METRICS_NAMESPACE"]
    assert alarm["Dimensions"] == [{"Name": "service", "Value": environment["POWERTOOLS_SERVICE_NAME"]}]
    assert (alarm["MetricName"], alarm["Statistic"]) == ("StaleAfterSeconds", "Maximum")
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("GreaterThanThreshold", 0)
    assert alarm["TreatMissingData"] == "notBreaching"
