package caddytest

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// failing is the row of an upstream that answers with an error of its own.
func failing(status int) row {
	return row{alone: status, scope: routing.ScopeUpstreamModel, class: routing.ClassServer}
}

// withKey gives the upstream a credential.
const withKey = "credential {env.TEST_FAULT_KEY}"

// twoFailures opens a circuit with the second failure in a row.
const twoFailures = "circuit {\n failures 2\n open_for 1h up to 1h\n}"

// TestFault16EarlyHints: answers with status 103 come before the real one.
func TestFault16EarlyHints(t *testing.T) {
	o := startOutage(t, startProvider(t, provider.Say("at last").Early(3)).URL())
	for _, a := range everyone() {
		t.Run(a.name(), func(t *testing.T) {
			resp, body := a.ask(t, o.url, "alone")
			a.expects(t, resp, body, "at last")
			checkCounted(t, row{})
		})
	}
}

// TestFault17EarlyHintsWithoutEnd: nothing but answers with status 103.
func TestFault17EarlyHintsWithoutEnd(t *testing.T) {
	startOutage(t, startProvider(t, provider.Say("never").Early(100_000)).URL()).check(t, unusable)
}

// TestFault18ServerErrors: the upstream fails with a status, whatever its body.
func TestFault18ServerErrors(t *testing.T) {
	for _, status := range []int{500, 502, 504} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			page := provider.Status(status, "<html>oops</html>")
			startOutage(t, startProvider(t, page).URL()).check(t, failing(status))
		})
	}
}

// TestFault19Unavailable: 503, and how long it will last if the upstream says so.
func TestFault19Unavailable(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"bare":        provider.Status(503, "no"),
		"Retry-After": provider.Status(503, "no").Header("Retry-After", "7"),
	} {
		t.Run(name, func(t *testing.T) {
			o := startOutage(t, startProvider(t, step).URL())
			o.check(t, failing(503))
			o.reset(t)
			resp, body := inPlain()[0].ask(t, o.url, "alone")
			if got, want := resp.Header.Get("Retry-After"), map[string]string{"Retry-After": "7"}[name]; got != want {
				t.Errorf("Retry-After is %q, want %q: %s", got, want, body)
			}
		})
	}
}

// TestFault20Overloaded: 529.
func TestFault20Overloaded(t *testing.T) {
	startOutage(t, startProvider(t, provider.Status(529, boom)).URL()).check(t, failing(overload))
}

// throttledRow is the row of an upstream that has had too many requests.
var throttledRow = row{alone: http.StatusTooManyRequests, scope: routing.ScopeUpstreamModel, class: routing.ClassThrottled}

// TestFault21Throttled: 429 with Retry-After. The upstream is left alone meanwhile.
func TestFault21Throttled(t *testing.T) {
	first := startProvider(t, provider.Status(429, boom).Header("Retry-After", "2"))
	o := startOutage(t, first.URL())
	o.check(t, throttledRow)
	o.reset(t)
	a := inPlain()[0]
	a.ask(t, o.url, "alone")
	asked := len(first.Requests())
	for range 5 {
		resp, body := a.ask(t, o.url, "alone")
		if wait, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != 429 || err != nil || wait < 1 || wait > 2 {
			t.Errorf("%d, Retry-After %q: %s", resp.StatusCode, resp.Header.Get("Retry-After"), body)
		}
	}
	if n := len(first.Requests()) - asked; n != 0 {
		t.Errorf("the upstream was asked %d times within its 2 s", n)
	}
}

// TestFault22ThrottledWithoutRetryAfter: 429 that says nothing, or says it in other
// headers. The request goes to another source at once, and the upstream is left
// alone for a while that grows.
func TestFault22ThrottledWithoutRetryAfter(t *testing.T) {
	for _, tc := range []struct {
		name        string
		step        provider.Step
		least, most time.Duration
	}{
		{"bare", provider.Status(429, boom), 4 * time.Second, 7 * time.Second},
		{"reset", provider.Status(429, boom).Header("X-Ratelimit-Reset-Requests", "3s").Header("X-Ratelimit-Remaining-Requests", "0"), time.Second, 7 * time.Second},
		{"milliseconds", provider.Status(429, boom).Header("Retry-After-Ms", "20000"), 18 * time.Second, 21 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := startOutage(t, startProvider(t, tc.step).URL())
			o.check(t, throttledRow)
			o.reset(t)
			inPlain()[0].ask(t, o.url, "alone")
			if left := time.Until(circuit(t, routing.ScopeUpstreamModel).ThrottledUntil); left < tc.least || left > tc.most {
				t.Errorf("it is left alone for %s, want from %s to %s", left, tc.least, tc.most)
			}
		})
	}
}

// TestFault23RetryAfter: Retry-After is a date, in the past, of a day, or no number.
func TestFault23RetryAfter(t *testing.T) {
	for _, tc := range []struct {
		value       string
		least, most time.Duration
	}{
		// A date is one of the upstream's clock, which its header Date tells.
		{time.Now().Add(time.Minute).UTC().Format(http.TimeFormat), 50 * time.Second, time.Minute},
		{time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), 500 * time.Millisecond, 7 * time.Second},
		{"-5", 500 * time.Millisecond, 7 * time.Second},
		{"86400", 14 * time.Minute, 15 * time.Minute},
		{"1555200", 14 * time.Minute, 15 * time.Minute}, // 18 days
		{"99999999999999999999", 500 * time.Millisecond, 15 * time.Minute},
		{"soon", 4 * time.Second, 7 * time.Second},
	} {
		t.Run(tc.value, func(t *testing.T) {
			o := startOutage(t, startProvider(t, provider.Status(429, boom).Header("Retry-After", tc.value).Header("Date", time.Now().UTC().Format(http.TimeFormat))).URL())
			inPlain()[0].ask(t, o.url, "alone")
			if left := time.Until(circuit(t, routing.ScopeUpstreamModel).ThrottledUntil); left < tc.least || left > tc.most {
				t.Errorf("it is left alone for %s, want from %s to %s", left, tc.least, tc.most)
			}
		})
	}
}

// TestFault24NoQuota: there is no money left, as a 429 or a 402 says.
func TestFault24NoQuota(t *testing.T) {
	t.Setenv("TEST_FAULT_KEY", "sk-test-0123456789")
	for name, step := range map[string]provider.Step{
		"429 quota":   provider.Status(429, `{"error":{"message":"quota","code":"insufficient_quota"}}`),
		"402":         provider.Status(402, boom),
		"403 billing": provider.Status(403, `{"error":{"message":"billing","code":"billing_not_active"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			startOutage(t, startProvider(t, step).URL(), withKey).
				check(t, row{alone: 503, scope: routing.ScopeCredential, class: routing.ClassExhausted})
		})
	}
}

// TestFault25Credential: the key is refused, twice in a row.
func TestFault25Credential(t *testing.T) {
	t.Setenv("TEST_FAULT_KEY", "sk-test-0123456789")
	for _, status := range []int{401, 403} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			startOutage(t, startProvider(t, provider.Status(status, boom)).URL(), withKey, twoFailures).
				check(t, row{alone: 502, scope: routing.ScopeCredential, class: routing.ClassCredential, failures: 2})
		})
	}
}

// TestFault26UnknownModel: the upstream does not know the model, twice in a row.
func TestFault26UnknownModel(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"404": provider.Status(404, boom),
		"403": provider.Status(403, `{"error":{"message":"no","code":"model_not_found"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			startOutage(t, startProvider(t, step).URL(), twoFailures).
				check(t, row{alone: 404, scope: routing.ScopeUpstreamModel, class: routing.ClassMissing, failures: 2})
		})
	}
}

// TestFault27ClientFault: the request itself is wrong, or its content is refused.
func TestFault27ClientFault(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"400":     provider.Status(400, `{"error":{"message":"the field foo is wrong","type":"invalid_request_error"}}`),
		"422":     provider.Status(422, `{"error":{"message":"no","type":"invalid_request_error"}}`),
		"content": provider.Status(400, `{"error":{"message":"refused","code":"content_policy_violation"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			status := 400
			if name == "422" {
				status = 422
			}
			startOutage(t, startProvider(t, step).URL()).check(t, row{alone: status, kept: true})
		})
	}
}

// TestFault28TooLong: the request is too large for the model or the upstream. It
// would be for another as well, unless that is known to have a larger window.
func TestFault28TooLong(t *testing.T) {
	for status, step := range map[int]provider.Step{
		400: provider.Status(400, `{"error":{"message":"long","code":"context_length_exceeded"}}`),
		413: provider.Status(413, boom),
	} {
		for _, tc := range []struct {
			name, faulty, healthy string
			kept                  bool
		}{
			{"no windows", "first x", "second y", true},
			{"the first is not known", "first x", "second y context_window 2000", true},
			{"the second is not known", "first x context_window 1000", "second y", true},
			{"the second is no larger", "first x context_window 1000", "second y context_window 1000", true},
			{"the second is larger", "first x context_window 1000", "second y context_window 2000", false},
			{"the second is larger by its model", "first gpt-4o", "second claude-opus-4-6", false},
		} {
			t.Run(strconv.Itoa(status)+", "+tc.name, func(t *testing.T) {
				startSources(t, startProvider(t, step).URL(), tc.faulty, tc.healthy).check(t, row{alone: status, kept: tc.kept})
			})
		}
	}
}

// TestFault29Conflict: statuses that a repeat may mend. There is one, if the
// upstream may be asked again.
func TestFault29Conflict(t *testing.T) {
	for status, r := range map[int]row{
		408: {alone: 502, scope: routing.ScopeUpstreamModel, class: routing.ClassConflict},
		409: {alone: 409},
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			startOutage(t, startProvider(t, provider.Status(status, boom)).URL()).check(t, r)
			first := startProvider(t, provider.Status(status, boom), provider.Say("again"))
			o := startOutage(t, first.URL(), "retries 1", "circuit {\n failures 5\n}")
			resp, body := inPlain()[0].ask(t, o.url, "alone")
			inPlain()[0].expects(t, resp, body, "again")
		})
	}
}

// TestFault30OddStatus: statuses that nobody has heard of.
func TestFault30OddStatus(t *testing.T) {
	t.Run("418", func(t *testing.T) {
		startOutage(t, startProvider(t, provider.Status(418, boom)).URL()).check(t, row{alone: 418, kept: true})
	})
	t.Run("999", func(t *testing.T) {
		startOutage(t, startProvider(t, provider.Status(999, boom)).URL()).check(t, failing(500))
	})
}

// TestFault31Redirect: the upstream sends the gateway elsewhere, where it does not
// go.
func TestFault31Redirect(t *testing.T) {
	for _, status := range []int{302, 307} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			elsewhere := startProvider(t, provider.Say("elsewhere"))
			step := provider.Redirect(status, elsewhere.URL()+"/v1/chat/completions")
			startOutage(t, startProvider(t, step).URL()).check(t, unusable)
			if n := len(elsewhere.Requests()); n != 0 {
				t.Errorf("the redirection was followed %d times", n)
			}
		})
	}
}

// TestFault32HugeErrorBody: an error with a body that never ends, of which little is
// read.
func TestFault32HugeErrorBody(t *testing.T) {
	source := startFlood(t, http.StatusInternalServerError, `{"error":{"message":"`, "xxxxxxxx")
	startOutage(t, source.url).check(t, failing(500))
	if most := source.most.Load(); most > 8<<20 {
		t.Errorf("%d bytes of an answer went out, of which 64 KiB are of use", most)
	}
}
