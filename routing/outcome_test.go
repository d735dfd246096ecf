package routing

import (
	"strings"
	"testing"
)

func TestClassNames(t *testing.T) {
	for c := ClassOK; c <= ClassRefused; c++ {
		text, err := c.MarshalText()
		if err != nil || string(text) != c.String() || len(text) == 0 {
			t.Errorf("class %d is %q, %v", c, text, err)
		}
		var back Class
		if err := back.UnmarshalText(text); err != nil || back != c {
			t.Errorf("%s comes back as %s, %v", c, back, err)
		}
	}
	for s := CircuitClosed; s <= CircuitForcedOpen; s++ {
		var back CircuitState
		text, err := s.MarshalText()
		if err != nil || back.UnmarshalText(text) != nil || back != s || string(text) != s.String() {
			t.Errorf("state %d is %q, %v", s, text, err)
		}
	}
	const none = ClassRefused + 1
	if _, err := none.MarshalText(); err == nil {
		t.Error("a class without a name has a text")
	}
	if got := none.String(); got != "class(15)" {
		t.Errorf("got %s", got)
	}
	if got := CircuitState(9).String(); got != "unknown" {
		t.Errorf("got %s", got)
	}
	if _, err := CircuitState(9).MarshalText(); err == nil {
		t.Error("a state without a name has a text")
	}
	var c Class
	if err := c.UnmarshalText([]byte("nope")); err == nil || !strings.Contains(err.Error(), `unknown class "nope"`) {
		t.Errorf("error is %v", err)
	}
}

// The table of outcomes: what counts where, what moves on, what is final.
func TestOutcomeTable(t *testing.T) {
	const yes, no, dash = failure, success, neutral
	for _, tc := range []struct {
		class                       Class
		status                      int
		upstream, model, credential verdict
		failover, final             bool
	}{
		{ClassOK, 200, no, no, no, false, false},
		{ClassConnect, 0, yes, dash, dash, true, false},
		{ClassTimeout, 0, dash, yes, dash, true, false},
		{ClassServer, 500, no, yes, dash, true, false},
		{ClassBadAnswer, 200, no, yes, dash, true, false},
		{ClassBrokenStream, 200, no, yes, dash, true, false},
		{ClassThrottled, 429, dash, dash, dash, true, false},
		{ClassExhausted, 402, no, dash, yes, true, true},
		{ClassCredential, 401, no, dash, yes, true, true},
		{ClassMissing, 404, no, yes, dash, true, true},
		{ClassClientFault, 400, dash, dash, dash, false, true},
		{ClassUnsupported, 0, dash, dash, dash, true, true},
		{ClassConflict, 409, dash, dash, dash, true, false},
		{ClassConflict, 408, dash, yes, dash, true, false},
		{ClassAbandoned, 0, dash, dash, dash, false, false},
		{ClassRefused, 0, dash, dash, dash, true, false},
	} {
		o := Outcome{Class: tc.class, Status: tc.status}
		for scope, want := range map[Scope]verdict{
			ScopeUpstream: tc.upstream, ScopeUpstreamModel: tc.model, ScopeCredential: tc.credential, "": neutral,
		} {
			if got := o.judge(scope, false); got != want {
				t.Errorf("%s %d in %q: got %d, want %d", tc.class, tc.status, scope, got, want)
			}
		}
		// An upstream that opened because of its models heals when they do.
		escalated := tc.upstream
		if tc.model == failure {
			escalated = failure
		}
		if got := o.judge(ScopeUpstream, true); got != escalated {
			t.Errorf("%s %d, escalated: got %d, want %d", tc.class, tc.status, got, escalated)
		}
		if tc.class.Failover() != tc.failover || tc.class.Final() != tc.final {
			t.Errorf("%s: failover %t, final %t", tc.class, tc.class.Failover(), tc.class.Final())
		}
	}
}
