package handler

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// keyring is a model with an upstream of two keys, of which the first is preferred,
// and what it was asked with.
type keyring struct {
	*Handler
	asked []string
}

// newKeyring returns a keyring whose keys answer as given, with another upstream behind
// it; nil is none.
func newKeyring(t *testing.T, f format.ID, first, second, behind roundTrip) *keyring {
	t.Helper()
	k := new(keyring)
	noted := func(name string, answer roundTrip) roundTrip {
		return func(r *http.Request) (*http.Response, error) {
			k.asked = append(k.asked, name)
			return answer(r)
		}
	}
	ring := func(r *http.Request) (*http.Response, error) {
		switch strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token-of-") {
		case keyName(0):
			return noted("first", first)(r)
		case keyName(1):
			return noted("second", second)(r)
		default:
			return noted("client", first)(r)
		}
	}
	upstreams, model := make(map[string]*upstream.Upstream), new(routing.Model)
	add := func(name string, u *upstream.Upstream) {
		upstreams[name] = u
		model.Sources = append(model.Sources, routing.Source{Upstream: name, Model: "real", Priority: len(model.Sources) + 1})
	}
	add("ring", newUpstream(t, "ring", f, ring, bearers(2, 0)...))
	if behind != nil {
		add("behind", newUpstream(t, "behind", f, noted("behind", behind)))
	}
	snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: upstreams, Models: map[string]*routing.Model{"m": model}})
	if err != nil {
		t.Fatal(err)
	}
	k.Handler = &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop()}
	return k
}

// failing is an upstream that answers with an error.
func failing(status int) roundTrip {
	return answer(status, "application/json", `{"error":{"message":"no"}}`)
}

// TestAnotherKey shows when a request goes on with another key of the same upstream:
// after what says something about the key only, once, and before other sources.
func TestAnotherKey(t *testing.T) {
	works := answer(http.StatusOK, "application/json", chatAnswer)
	for _, tc := range []struct {
		name                  string
		first, second, behind roundTrip
		attempts              int // 0 is the default
		key                   string
		want                  int
		asked                 string
	}{
		{"refused", failing(401), works, works, 0, "", 200, "first second"},
		{"forbidden", failing(403), works, works, 0, "", 200, "first second"},
		{"no quota", failing(402), works, works, 0, "", 200, "first second"},
		{"throttled", failing(429), works, works, 0, "", 200, "first second"},
		{"all refused", failing(401), failing(401), nil, 0, "", 502, "first second"},
		{"all refused, with a backup", failing(401), failing(402), works, 0, "", 200, "first second behind"},
		{"no attempt is left", failing(401), works, works, 1, "", 502, "first"},
		{"one attempt is left", failing(401), failing(401), works, 2, "", 502, "first second"},
		{"not the key's fault", failing(500), works, works, 0, "", 200, "first behind"},
		{"the client's fault", failing(400), works, works, 0, "", 400, "first"},
		{"unknown model", failing(404), works, nil, 0, "", 404, "first"},
		{"a repeat keeps the second", failing(401), failing(500), nil, 0, "", 500, "first second second"},
		{"the client's own key", failing(401), works, works, 0, "own", 401, "client"},
		{"the client's own key, throttled", failing(429), works, nil, 0, "own", 429, "client"},
		{"the client's own key, throttled, with a backup", failing(429), works, works, 0, "own", 200, "client behind"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newKeyring(t, format.OpenAIChat, tc.first, tc.second, tc.behind)
				k.MaxAttempts = tc.attempts
				r := post("/v1/chat/completions", chatRequest)
				if tc.key != "" {
					r.Header.Set("Authorization", "Bearer "+tc.key)
				}
				w := serve(t, k.Handler, r)
				if asked := strings.Join(k.asked, " "); w.Code != tc.want || asked != tc.asked {
					t.Errorf("status %d after %s, want %d after %s: %s", w.Code, asked, tc.want, tc.asked, w.Body)
				}
				if got := w.Header().Get("X-Gateway-Attempts"); got != strconv.Itoa(len(k.asked)) {
					t.Errorf("%s attempts are told of %d", got, len(k.asked))
				}
			})
		})
	}
}

// TestAnotherKeyOfAStream shows that the client of a stream learns nothing of the
// first key.
func TestAnotherKeyOfAStream(t *testing.T) {
	k := newKeyring(t, format.OpenAIChat, failing(401), answer(http.StatusOK, "text/event-stream", chatStream), nil)
	w := serve(t, k.Handler, post("/v1/chat/completions", chatStreamRequest))
	if asked := strings.Join(k.asked, " "); w.Code != http.StatusOK || asked != "first second" {
		t.Errorf("status %d after %s", w.Code, asked)
	}
	if body := w.Body.String(); !strings.Contains(body, "hello") || strings.Contains(body, "error") || !strings.HasSuffix(body, chatDone) {
		t.Errorf("got %s", body)
	}
}

// TestAnotherKeyLeavesNoSecondTrace shows that a request which leaves a trace goes to
// another key only if the upstream has certainly not begun it: by the same list as for
// another source.
func TestAnotherKeyLeavesNoSecondTrace(t *testing.T) {
	works := answer(http.StatusOK, "application/json", responsesAnswer)
	for _, tc := range []struct {
		status, want int
		asked        string
	}{
		{401, 502, "first"}, {402, 503, "first"}, {429, 200, "first second"},
	} {
		k := newKeyring(t, format.OpenAIResponses, failing(tc.status), works, works)
		w := serve(t, k.Handler, post("/v1/responses", `{"model":"m","input":"hi","store":true}`))
		if asked := strings.Join(k.asked, " "); w.Code != tc.want || asked != tc.asked {
			t.Errorf("%d: status %d after %s, want %d after %s: %s", tc.status, w.Code, asked, tc.want, tc.asked, w.Body)
		}
	}
}

// TestAnotherKeyIsPaidFor shows that a request's first move to another key is free, and
// that its second comes out of the model's budget.
func TestAnotherKeyIsPaidFor(t *testing.T) {
	const requests = 100
	works := answer(http.StatusOK, "application/json", chatAnswer)
	ring := func(r *http.Request) (*http.Response, error) {
		if strings.HasSuffix(r.Header.Get("Authorization"), keyName(0)) {
			return failing(401)(r)
		}
		return works(r)
	}
	dead := newUpstream(t, "dead", format.OpenAIChat, failing(401), bearers(2, 0)...)
	for name, tc := range map[string]struct {
		sources     []string
		least, most int
	}{
		"first":  {[]string{"ring"}, requests, requests},
		"second": {[]string{"dead", "ring"}, 9 + requests/5, 10 + requests/5}, // 10 at first, and a fifth for each request
	} {
		t.Run(name, func(t *testing.T) {
			upstreams := map[string]*upstream.Upstream{"dead": dead, "ring": newUpstream(t, "ring", format.OpenAIChat, ring, bearers(2, 0)...)}
			model := new(routing.Model)
			for i, source := range tc.sources {
				model.Sources = append(model.Sources, routing.Source{Upstream: source, Model: "real", Priority: i + 1})
			}
			snapshot, err := routing.NewSnapshot(routing.Definitions{Upstreams: upstreams, Models: map[string]*routing.Model{"m": model}})
			if err != nil {
				t.Fatal(err)
			}
			h := &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop(), MaxAttempts: 4}
			if n := served(t, h, requests); n < tc.least || n > tc.most {
				t.Errorf("%d of %d requests are served, want %d to %d", n, requests, tc.least, tc.most)
			}
		})
	}
}

// TestDeadKeysCostNoBackup shows that the move to the next source stays free where all
// keys are dead, so that no client sees an error however many requests there are.
func TestDeadKeysCostNoBackup(t *testing.T) {
	const requests = 100
	k := newKeyring(t, format.OpenAIChat, failing(401), failing(402), answer(http.StatusOK, "application/json", chatAnswer))
	if n := served(t, k.Handler, requests); n != requests {
		t.Errorf("%d of %d requests are served", n, requests)
	}
	if len(k.asked) != 3*requests {
		t.Errorf("there were %d calls", len(k.asked))
	}
}

// served is how many of n requests are answered with success.
func served(t *testing.T, h *Handler, n int) (served int) {
	t.Helper()
	for range n {
		if w := serve(t, h, post("/v1/chat/completions", chatRequest)); w.Code == http.StatusOK {
			served++
		}
	}
	return served
}
