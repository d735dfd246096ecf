package upstream

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func seconds(n int) caddy.Duration { return caddy.Duration(time.Duration(n) * time.Second) }

func TestCircuitPolicyDefaults(t *testing.T) {
	want := CircuitPolicy{
		Failures: 5, FailuresWithin: seconds(180), ErrorRate: 50, MinAttempts: 10, Window: seconds(30),
		SlowRate: 80, OpenFor: seconds(15), OpenForMax: seconds(600), Probes: 2,
	}
	for name, p := range map[string]*CircuitPolicy{"nil": nil, "empty": {}, "inherited": new(CircuitPolicy).Inherit(nil)} {
		if got := p.Effective(); got != want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if got := (&CircuitPolicy{OpenFor: seconds(3600)}).Effective().OpenForMax; got != seconds(3600) {
		t.Errorf("open_for_max is %s", time.Duration(got))
	}
}

// Every field is inherited if it is not set, save off.
func TestCircuitPolicyInherit(t *testing.T) {
	full := &CircuitPolicy{
		Off: true, Failures: 1, FailuresWithin: seconds(2), ErrorRate: 3, MinAttempts: 4, Window: seconds(5),
		SlowRate: 6, SlowOver: seconds(7), OpenFor: seconds(8), OpenForMax: seconds(9), Probes: 10,
	}
	for v, i := reflect.ValueOf(*full), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Fatalf("the test leaves out %s", v.Type().Field(i).Name)
		}
	}
	other := &CircuitPolicy{Failures: 100, Probes: 100, SlowOver: seconds(100)}
	if got := full.Inherit(other); *got != *full {
		t.Errorf("own settings are lost: %+v", got)
	}
	want := *full
	want.Off = false // who says anything about circuits wants them
	if got := new(CircuitPolicy).Inherit(full); *got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	none := (*CircuitPolicy)(nil)
	if got := none.Inherit(full); *got != *full || got == full {
		t.Errorf("got %+v", got)
	}
	if got := none.Inherit(nil); got == nil || *got != (CircuitPolicy{}) {
		t.Errorf("got %+v", got)
	}
}

func TestCircuitPolicyValidate(t *testing.T) {
	for _, tc := range []struct {
		name   string
		policy *CircuitPolicy
		want   string // the error's beginning; "" for none
	}{
		{"nil", nil, ""},
		{"empty", &CircuitPolicy{}, ""},
		{"off", &CircuitPolicy{Off: true}, ""},
		{"all of it", &CircuitPolicy{
			Failures: 1000, FailuresWithin: seconds(1), ErrorRate: 100, MinAttempts: 10000, Window: seconds(3600),
			SlowRate: 1, SlowOver: 1e6, OpenFor: 1e6, OpenForMax: seconds(48 * 3600), Probes: 100,
		}, ""},
		{"failures", &CircuitPolicy{Failures: -1}, "failures: must be between 1 and 1000"},
		{"many failures", &CircuitPolicy{Failures: 1001}, "failures: must be between 1 and 1000"},
		{"failures_within", &CircuitPolicy{FailuresWithin: -1}, "failures_within: must be between 1ms and 48h"},
		{"error_rate", &CircuitPolicy{ErrorRate: 101}, "error_rate: must be between 1 and 100"},
		{"min_attempts", &CircuitPolicy{MinAttempts: -5}, "min_attempts: must be between 1 and 10000"},
		{"window", &CircuitPolicy{Window: 1}, "window: must be between 100ms and 1h"},
		{"slow_rate", &CircuitPolicy{SlowRate: 200}, "slow_rate: must be between 1 and 100"},
		{"slow_over", &CircuitPolicy{SlowOver: seconds(-1)}, "slow_over: must be between 1ms and 48h"},
		{"open_for", &CircuitPolicy{OpenFor: seconds(49 * 3600)}, "open_for: must be between 1ms and 48h"},
		{"open_for_max", &CircuitPolicy{OpenForMax: -1}, "open_for_max: must be between 1ms and 48h"},
		{"the longest shorter than the first", &CircuitPolicy{OpenFor: seconds(20), OpenForMax: seconds(10)}, "open_for_max: must not be shorter than open_for"},
		{"probes", &CircuitPolicy{Probes: 101}, "probes: must be between 1 and 100"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			err := tc.policy.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
				t.Errorf("error is %v, want %s", err, tc.want)
			}
		})
	}
}
