package caddytest

import (
	"fmt"
	"testing"
)

// lessons are complaints about other gateways that concern routing, circuits and
// streams, by their numbers in the list of lessons.
var lessons = []struct {
	number int
	requirement
}{
	{1, requirement{name: "cut, stalled or garbled streams fail over", tests: []string{"caddytest.TestFault42CutAfterPreamble", "caddytest.TestFault48GarbageInTheMiddle", "caddytest.TestBrokenStreamEndsWithAnError"}}},
	{2, requirement{name: "a double failure is a real status", tests: []string{"caddytest.TestDoubleFailure"}}},
	{3, requirement{name: "an upstream's failure is no finish reason", tests: []string{"caddytest.TestFault47ErrorInTheMiddle", "handler.TestOutcomeOfErrorInSuccess"}}},
	{4, requirement{name: "an error as the first event fails over", tests: []string{"caddytest.TestFault46ErrorFirst", "caddytest.TestCase34ErrorAsTheFirstEvent"}}},
	{5, requirement{name: "every format and form fails over alike", tests: []string{"caddytest.TestFault18ServerErrors", "caddytest.TestFailover"}}},
	{6, requirement{name: "a deadline never moves closer", tests: []string{"routing.TestThrottle", "routing.TestCircuitProperties"}}},
	{7, requirement{name: "nothing reaches an open upstream", tests: []string{"routing.TestNothingWhileOpen", "caddytest.TestFault80ReloadsUnderLoad"}}},
	{8, requirement{name: "everything open tells when to come back", tests: []string{"caddytest.TestFault58EverythingDown", "routing.TestNoSourceNow"}}},
	{9, requirement{name: "clients do not trip circuits", tests: []string{"caddytest.TestFault59ClientLeaves", "caddytest.TestFault27ClientFault"}}},
	{10, requirement{name: "a restart remembers open circuits", tests: []string{"caddytest.TestRoutingRestart", "routing.TestCircuitsSurviveRestart"}}},
	{11, requirement{name: "a wish of days is capped, a reset is effective at once", tests: []string{"caddytest.TestFault23RetryAfter", "caddytest.TestRoutingManual"}}},
	{12, requirement{name: "429 without Retry-After fails over", tests: []string{"caddytest.TestFault22ThrottledWithoutRetryAfter", "caddytest.TestFault23RetryAfter"}}},
	{13, requirement{name: "503 fails over without tuning", tests: []string{"caddytest.TestFault19Unavailable", "caddytest.TestFault58EverythingDown"}}},
	{14, requirement{name: "a bound upstream that is down is left, and taken again", tests: []string{"routing.TestStickyKeyFailsOverAndReturns", "caddytest.TestRoutingSticky"}}},
	{15, requirement{name: "exhausted keys come back", tests: []string{"caddytest.TestRoutingKeysComeBack"}}},
	{16, requirement{name: "one failure in twenty opens nothing", tests: []string{"routing.TestCircuitOpens", "caddytest.TestFault53HalfFails"}}},
	{17, requirement{name: "a conversation keeps its key", tests: []string{"routing/upstream.TestChoiceKeepsTheKeyOfAConversation"}}},
	{31, requirement{name: "the client's leaving releases the upstream", tests: []string{"caddytest.TestFault59ClientLeaves"}}},
	{32, requirement{name: "long silence within the limits is no failure", tests: []string{"handler.TestHeartbeatInSilence", "handler.TestLimits"}}},
	{33, requirement{name: "the first content has a limit", tests: []string{"caddytest.TestFault41CommentsOnly"}}},
	{34, requirement{name: "characters may be split anywhere", tests: []string{"caddytest.TestFault49OnePacketPerByte", "caddytest.TestLegalOddities"}}},
	{35, requirement{name: "a repeat sends the client's own request", tests: []string{"caddytest.TestRoutingRepeatsAreFresh"}}},
	{36, requirement{name: "a fast stream starves nobody", tests: []string{"caddytest.TestFault61ClientDoesNotRead", "caddytest.TestFault79ManySlowStreams"}, later: "gaps between events are measured by contrib/bench, not by a test"}},
	{38, requirement{name: "reloads break nothing", tests: []string{"caddytest.TestFault80ReloadsUnderLoad", "caddytest.TestReloadWhileStreamsRun"}}},
	{45, requirement{name: "keepalives stay keepalives", tests: []string{"handler.TestHeartbeatInSilence", "caddytest.TestLegalOddities"}}},
}

// TestLessons checks that the behaviour that each lesson asks for has a test.
func TestLessons(t *testing.T) {
	known := testsBelow(t, "..")
	for _, l := range lessons {
		t.Run(fmt.Sprintf("%d %s", l.number, l.name), func(t *testing.T) { l.check(t, known) })
	}
}
