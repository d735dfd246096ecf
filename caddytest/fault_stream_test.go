package caddytest

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/proxy"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// checkBroken runs a row in which a stream breaks when the client has seen a part of
// it: the stream ends with one error event and no mark of success, in every format,
// nobody else is asked, and the failure counts.
func (o *outage) checkBroken(t *testing.T, class routing.Class) {
	t.Helper()
	for _, a := range inStreams() {
		for _, model := range []string{"alone", "backed"} {
			t.Run(a.id+" "+model, func(t *testing.T) {
				o.reset(t)
				resp, body := a.ask(t, o.url, model)
				got, err := a.listen(body)
				if resp.StatusCode != http.StatusOK || err != nil || got.ended || got.failure == "" {
					t.Errorf("want a stream that ends with an error, got %d, ended %t, failure %q (%v):\n%.2000s", resp.StatusCode, got.ended, got.failure, err, body)
				}
				if !strings.HasPrefix("some words and more", got.text) || got.text == "" {
					t.Errorf("the text is %q", got.text)
				}
				if n := strings.Count(body, `upstream \"first\"`); n != 1 {
					t.Errorf("%d errors, want 1:\n%s", n, body)
				}
				checkCounted(t, row{scope: routing.ScopeUpstreamModel, class: class, late: true})
			})
		}
	}
	if n := len(o.second.Requests()); n != 0 {
		t.Errorf("the second source was asked %d times", n)
	}
}

// someWords is a stream that can break behind its second word.
var someWords = provider.Say("some words and more")

// TestFault43EndInTheMiddle: the body ends cleanly in the middle of the answer.
func TestFault43EndInTheMiddle(t *testing.T) {
	startOutage(t, startProvider(t, someWords.EndAt(2)).URL()).checkBroken(t, routing.ClassBrokenStream)
}

// TestFault44ResetInTheMiddle: the connection is reset or closed in the middle, by
// the upstream or by what is between.
func TestFault44ResetInTheMiddle(t *testing.T) {
	t.Run("reset", func(t *testing.T) {
		startOutage(t, startProvider(t, someWords.WaitAt(2, closed()).ResetAt(2)).URL()).checkBroken(t, routing.ClassBrokenStream)
	})
	t.Run("closed", func(t *testing.T) {
		startOutage(t, startProvider(t, someWords.CutAt(2)).URL()).checkBroken(t, routing.ClassBrokenStream)
	})
	t.Run("proxy", func(t *testing.T) {
		p := proxy.New(t, startProvider(t, someWords.StallAt(2)).URL())
		p.Set(proxy.Faults{ResetAfter: wireLength(t, someWords, 2)})
		startOutage(t, p.URL()).checkBroken(t, routing.ClassBrokenStream)
	})
}

// closed is a channel that is closed.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// wireLength is how many bytes of an answer to a chat stream go out up to a place.
func wireLength(t *testing.T, step provider.Step, place int) int {
	t.Helper()
	p := startProvider(t, step.EndAt(place))
	a := inStreams()[0]
	resp, body := a.ask(t, p.URL(), "x")
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	// The header comes first; that it is cut a little later does no harm, as only
	// silence follows.
	return len(body)
}

// TestFault45SilenceInTheMiddle: nothing comes any more in the middle of the answer.
func TestFault45SilenceInTheMiddle(t *testing.T) {
	t.Run("upstream", func(t *testing.T) {
		startOutage(t, startProvider(t, someWords.StallAt(2)).URL(), limits).checkBroken(t, routing.ClassTimeout)
	})
	t.Run("proxy", func(t *testing.T) {
		p := proxy.New(t, startProvider(t, someWords).URL())
		p.Set(proxy.Faults{SilentAfter: wireLength(t, someWords, 2)})
		startOutage(t, p.URL(), limits).checkBroken(t, routing.ClassTimeout)
	})
}

// TestFault47ErrorInTheMiddle: an error event in the middle, also if the usual end
// follows it.
func TestFault47ErrorInTheMiddle(t *testing.T) {
	event := `data: {"error":{"message":"boom","type":"server_error","code":"server_error"}}` + "\n\n"
	for name, step := range map[string]provider.Step{
		"end":       someWords.InsertAt(2, event).EndAt(2),
		"usual end": someWords.InsertAt(2, event),
	} {
		t.Run(name, func(t *testing.T) {
			startOutage(t, startProvider(t, step).URL()).checkBroken(t, routing.ClassServer)
		})
	}
}

// TestFault48GarbageInTheMiddle: one event is not JSON.
func TestFault48GarbageInTheMiddle(t *testing.T) {
	startOutage(t, startProvider(t, someWords.GarbageAt(2)).URL()).checkBroken(t, routing.ClassBrokenStream)
}

// TestFault49OnePacketPerByte: the network cuts the answer into single bytes, in the
// middle of characters too.
func TestFault49OnePacketPerByte(t *testing.T) {
	const text = "wörter 😀 und mehr"
	p := proxy.New(t, startProvider(t, provider.Say(text)).URL())
	p.Set(proxy.Faults{Slice: 1})
	o := startOutage(t, p.URL())
	for _, a := range everyone() {
		resp, body := a.ask(t, o.url, "alone")
		a.expects(t, resp, body, text)
	}
	checkCounted(t, row{})
}

// TestFault50OddEnds: streams that end in an odd way, but completely. The client has
// its answer soon.
func TestFault50OddEnds(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"no mark":      someWords.NoEndMark(),
		"events after": someWords.InsertAt(provider.End, "data: {\"late\":true}\n\n"),
		"stays open":   someWords.StallAt(provider.End),
	} {
		t.Run(name, func(t *testing.T) {
			o := startOutage(t, startProvider(t, step).URL())
			for _, a := range inStreams() {
				began := time.Now()
				resp, body := a.ask(t, o.url, "alone")
				a.expects(t, resp, body, "some words and more")
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("%s: the end took %s", a.name(), took)
				}
			}
			checkCounted(t, row{})
		})
	}
}

// TestFault51EventWithoutEnd: an event that never ends, before the first content.
func TestFault51EventWithoutEnd(t *testing.T) {
	source := startFlood(t, 200, `data: {"choices":[{"delta":{"content":"`, "xxxxxxxx", "Content-Type", "text/event-stream")
	o := startOutage(t, source.url)
	before := heap()
	r := unusable
	r.class = routing.ClassBrokenStream
	r.askers = []asker{inStreams()[0], inStreams()[2]}
	o.check(t, r)
	checkHeap(t, before)
}

// TestFault52SlowNetwork: each piece of an answer takes its time. What is within the
// limits is answered, and slow if the policy says so.
func TestFault52SlowNetwork(t *testing.T) {
	slow := proxy.Faults{Latency: 60 * time.Millisecond, Jitter: 20 * time.Millisecond}
	for name, tc := range map[string]struct {
		faults proxy.Faults
		policy string
		r      row
	}{
		"latency":   {slow, "circuit {\n failures 1\n}", row{}},
		"bandwidth": {proxy.Faults{BytesPerSecond: 20_000, Slice: 500}, "circuit {\n failures 1\n}", row{}},
		"slow": {
			slow, "circuit {\n slow 100% over 10ms\n error_rate 100% of 1 in 1h\n open_for 1h up to 1h\n}",
			row{scope: routing.ScopeUpstreamModel, late: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := proxy.New(t, startProvider(t, provider.Say("slowly")).URL())
			p.Set(tc.faults)
			o := startOutage(t, p.URL(), tc.policy)
			for _, a := range []asker{inPlain()[0], inStreams()[1]} {
				o.reset(t)
				resp, body := a.ask(t, o.url, "alone")
				a.expects(t, resp, body, "slowly")
			}
			checkCounted(t, tc.r)
		})
	}
}
