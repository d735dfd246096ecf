package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	aigateway "github.com/caddy-ai-gateway/caddy-ai-gateway"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// The tests TestFaultNN… are the rows of the fault matrix, docs/faults.md: each
// breaks something and holds what clients and circuits see of it against the row.

// outage is a gateway with a faulty upstream, "first", and a healthy one, "second".
// The model "alone" has only the first as its source, "backed" both. Any counted
// failure opens a circuit of the first, so that it shows which.
type outage struct {
	*gateway
	second *provider.Provider
}

// fromSecond is what the healthy upstream says.
const fromSecond = "from the second"

// startOutage starts a gateway. The options are of the faulty upstream.
func startOutage(t *testing.T, address string, options ...string) *outage {
	t.Helper()
	return startSources(t, address, "first x", "second y", options...)
}

// startSources starts a gateway with these sources on the faulty upstream and on the
// healthy one.
func startSources(t *testing.T, address, faulty, healthy string, options ...string) *outage {
	t.Helper()
	second := startProvider(t, provider.Say(fromSecond))
	text := strings.Join(options, "\n")
	if !strings.Contains(text, "retries") {
		text += "\nretries 0"
	}
	if !strings.Contains(text, "circuit") {
		text += "\ncircuit {\n failures 1\n open_for 1h up to 1h\n}"
	}
	return &outage{
		gateway: startGateway(t, fmt.Sprintf(`upstream first %s {
				formats openai_chat
				%s
			}
			upstream second %s {
				formats anthropic_messages
			}
			model alone {
				source %[4]s
			}
			model backed {
				source %[4]s
				source %[5]s priority 2
			}`, address, text, second.URL(), faulty, healthy)),
		second: second,
	}
}

// app is the running gateway's app.
func app(t *testing.T) *aigateway.App {
	t.Helper()
	value, err := caddy.ActiveContext().AppIfConfigured("ai_gateway")
	if err != nil {
		t.Fatal(err)
	}
	return value.(*aigateway.App)
}

// reset resets the circuits of the faulty upstream.
func (o *outage) reset(t *testing.T) {
	t.Helper()
	if _, err := app(t).ResetCircuit(t.Context(), "first", "", "test", nil); err != nil {
		t.Fatalf("resetting the circuits: %v", err)
	}
}

// circuit is how a circuit of the faulty upstream is.
func circuit(t *testing.T, scope routing.Scope) routing.CircuitView {
	t.Helper()
	views, err := app(t).Circuits("first")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if v.Key.Scope == scope {
			return v
		}
	}
	t.Fatalf("there is no circuit of the scope %s in %v", scope, views)
	return routing.CircuitView{}
}

// asker is a way to ask: a client's format, streamed or not.
type asker struct {
	*formatSpeaker
	stream bool
}

// name is the asker's name in tests.
func (a asker) name() string {
	if a.stream {
		return a.id + " stream"
	}
	return a.id
}

// everyone are all ways to ask; the streams are the second half.
func everyone() []asker {
	var all []asker
	for _, stream := range []bool{false, true} {
		for i := range speakers {
			all = append(all, asker{&speakers[i], stream})
		}
	}
	return all
}

// inPlain and inStreams are the ways to ask without streams and with.
func inPlain() []asker   { return everyone()[:len(speakers)] }
func inStreams() []asker { return everyone()[len(speakers):] }

// request is a request of the asker.
func (a asker) request(t testing.TB, url, model string) *http.Request {
	t.Helper()
	words := talk{model: model, stream: a.stream, limit: 100, turns: []turn{says("hi")}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+a.path(words), strings.NewReader(a.say(words)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return req
}

// ask sends a request and returns the whole answer.
func (a asker) ask(t testing.TB, url, model string) (*http.Response, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(a.request(t, url, model))
	if err != nil {
		t.Fatalf("asking as %s: %v", a.name(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer as %s: %v\n%s", a.name(), err, body)
	}
	return resp, string(body)
}

// hear reads an answer, which may be a stream.
func (a asker) hear(body string) (reply, error) {
	if a.stream {
		return a.listen(body)
	}
	got, err := a.answer(body)
	got.ended = err == nil
	return got, err
}

// expects fails the test unless the answer is a whole one that says text.
func (a asker) expects(t testing.TB, resp *http.Response, body, text string) {
	t.Helper()
	got, err := a.hear(body)
	if resp.StatusCode != http.StatusOK || err != nil || !got.ended || got.text != text {
		t.Errorf("want a whole answer that says %q, got %d (%v) %.2000s", text, resp.StatusCode, err, body)
	}
}

// row is what the fault matrix says of a fault.
type row struct {
	// alone is the status that a client sees without a second source.
	alone int
	// scope is that of the circuit that counts the fault; "" if none does.
	scope routing.Scope
	// class is what the fault is counted as.
	class routing.Class
	// failures is how many of them open the circuit. Default: 1.
	failures int
	// late says that the fault comes when the client has seen a part of the answer:
	// circuits may learn of the end after the client.
	late bool
	// kept says that the second source is not asked.
	kept bool
	// askers are those that meet the fault. Default: everyone.
	askers []asker
}

// overload is the status 529, which only Anthropic's clients know; others see 503.
const overload = 529

// check runs a row: every format's clients, with streams and without, see the
// status if the faulty upstream is the only source, and the whole answer of the
// second one if there is one; and the fault counts where it should.
func (o *outage) check(t *testing.T, r row) {
	t.Helper()
	if r.askers == nil {
		r.askers = everyone()
	}
	for _, a := range r.askers {
		t.Run(a.name(), func(t *testing.T) {
			o.reset(t)
			for range max(r.failures, 1) {
				o.checkAlone(t, a, r)
			}
			checkCounted(t, r)
			o.reset(t)
			o.checkBacked(t, a, r)
		})
	}
}

// checkAlone asks the model without a second source.
func (o *outage) checkAlone(t *testing.T, a asker, r row) {
	t.Helper()
	want := r.alone
	if want == overload && a.id != "anthropic_messages" {
		want = http.StatusServiceUnavailable
	}
	resp, body := a.ask(t, o.url, "alone")
	told, err := a.refused(body)
	if resp.StatusCode != want || err != nil || told.message == "" {
		t.Errorf("alone: want an error with status %d, got %d (%v) %.500s", want, resp.StatusCode, err, body)
	}
}

// checkBacked asks the model with a second source.
func (o *outage) checkBacked(t *testing.T, a asker, r row) {
	t.Helper()
	before := len(o.second.Requests())
	resp, body := a.ask(t, o.url, "backed")
	asked := len(o.second.Requests()) - before
	if r.kept {
		if resp.StatusCode != r.alone || asked != 0 {
			t.Errorf("backed: want the status %d and nobody else asked, got %d, %d asked: %.500s", r.alone, resp.StatusCode, asked, body)
		}
		return
	}
	a.expects(t, resp, body, fromSecond)
	if asked != 1 || resp.Header.Get("X-Gateway-Attempts") != "2" {
		t.Errorf("backed: the second source was asked %d times in %s attempts, want once in 2", asked, resp.Header.Get("X-Gateway-Attempts"))
	}
}

// checkCounted holds the circuits of the faulty upstream against the row.
func checkCounted(t *testing.T, r row) {
	t.Helper()
	if r.class == routing.ClassThrottled {
		if circuit(t, r.scope).ThrottledUntil.IsZero() {
			t.Errorf("the circuit of the %s has no mark of being throttled", r.scope)
		}
		r.scope = ""
	}
	if r.scope != "" {
		if r.late {
			eventually(t, "the opening of the circuit of the "+string(r.scope), func() bool {
				return circuit(t, r.scope).State == routing.CircuitOpen
			})
		}
		if got := circuit(t, r.scope); got.State != routing.CircuitOpen || got.Class != r.class {
			t.Errorf("the circuit of the %s is %s because of %s, want open because of %s", r.scope, got.State, got.Class, r.class)
		}
	}
	views, err := app(t).Circuits("first")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range views {
		if v.Key.Scope != r.scope && v.State != routing.CircuitClosed {
			t.Errorf("the circuit of the %s is %s because of %s", v.Key.Scope, v.State, v.Class)
		}
	}
}

// soonLimit is a limit for tests in which it passes.
const soonLimit = 200 * time.Millisecond

// limits are options of an upstream that make every wait short.
var limits = fmt.Sprintf("timeout connect %[1]s\ntimeout tls_handshake %[1]s\ntimeout response_header %[1]s\ntimeout first_content %[1]s\ntimeout idle %[1]s", soonLimit)
