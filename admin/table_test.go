package admin

import (
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

func TestRemaining(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour:                            "0s",
		400 * time.Millisecond:                "0s",
		12 * time.Second:                      "12s",
		72 * time.Second:                      "1m12s",
		2*time.Hour + 59*time.Second:          "2h0m",
		49*time.Hour + 10*time.Minute:         "2d1h",
		59*time.Second + 600*time.Millisecond: "1m0s",
	} {
		if got := remaining(noon, noon.Add(d)); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestWordsForStates(t *testing.T) {
	for _, tc := range []struct {
		name string
		u    UpstreamStatus
		want string
	}{
		{"fine", UpstreamStatus{Usable: true}, "active"},
		{"half open", UpstreamStatus{Usable: true, Circuit: CircuitSummary{State: routing.CircuitHalfOpen}}, "probing"},
		{"open", UpstreamStatus{Circuit: CircuitSummary{State: routing.CircuitOpen}}, "circuit open"},
		{"forced", UpstreamStatus{Circuit: CircuitSummary{State: routing.CircuitForcedOpen}}, "forced open"},
		{"disabled, half open", UpstreamStatus{Circuit: CircuitSummary{State: routing.CircuitHalfOpen}}, "not usable"},
		{"a credential", UpstreamStatus{Usable: true, Circuit: CircuitSummary{OpenCredentials: []string{"0"}}}, "partly open"},
	} {
		if got := tc.u.state().text; got != tc.want {
			t.Errorf("upstream, %s: got %s, want %s", tc.name, got, tc.want)
		}
	}
	for state, want := range map[routing.CircuitState]string{
		routing.CircuitClosed: "closed", routing.CircuitOpen: "open",
		routing.CircuitHalfOpen: "probing", routing.CircuitForcedOpen: "forced open",
	} {
		if got := (&Circuit{State: state}).state().text; got != want {
			t.Errorf("circuit: got %s, want %s", got, want)
		}
	}
	if got := (&ModelStatus{Sources: 2}).state().text; got != "no usable source" {
		t.Errorf("model: got %s", got)
	}
	u := UpstreamStatus{Circuit: CircuitSummary{State: routing.CircuitOpen, Reason: "5 failures", Until: noon.Add(time.Minute), OpenCredentials: []string{"a", "b"}}}
	if got, want := u.detail(noon), "5 failures; 1m0s left; credentials open: a, b"; got != want {
		t.Errorf("detail: got %s, want %s", got, want)
	}
}
