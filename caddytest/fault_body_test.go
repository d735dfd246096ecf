package caddytest

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// chatAnswer is a whole answer in the format of the faulty upstream.
const chatAnswer = `{"id":"x","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"packed"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}`

// TestFault34NoAnswer: a success without an answer.
func TestFault34NoAnswer(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"HTML":        provider.HTML(),
		"empty":       provider.Empty(),
		"204":         provider.NoContent(),
		"null":        provider.Status(200, "null"),
		"wrong shape": provider.WrongShape(),
	} {
		t.Run(name, func(t *testing.T) { startOutage(t, startProvider(t, step).URL()).check(t, unusable) })
	}
}

// TestFault35ErrorInSuccess: a success whose body is an error, which counts as what
// its code says.
func TestFault35ErrorInSuccess(t *testing.T) {
	t.Setenv("TEST_FAULT_KEY", "sk-test-0123456789")
	for code, r := range map[string]row{
		"server_error":       {alone: 502, scope: routing.ScopeUpstreamModel, class: routing.ClassServer},
		"insufficient_quota": {alone: 503, scope: routing.ScopeCredential, class: routing.ClassExhausted},
	} {
		t.Run(code, func(t *testing.T) {
			body := `{"error":{"message":"boom","type":"` + code + `","code":"` + code + `"}}`
			startOutage(t, startProvider(t, provider.Status(200, body)).URL(), withKey).check(t, r)
		})
	}
}

// TestFault36BrokenBody: the body is not JSON, or ends before it should.
func TestFault36BrokenBody(t *testing.T) {
	short := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + chatAnswer[:100]
	chunk := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n" + chatAnswer[:100]
	for name, step := range map[string]provider.Step{
		"not JSON":   provider.NotJSON(),
		"too short":  provider.Raw(short),
		"in a chunk": provider.Raw(chunk),
	} {
		t.Run(name, func(t *testing.T) { startOutage(t, startProvider(t, step).URL()).check(t, unusable) })
	}
}

// memoryGrowth is what a hostile answer may cost, in bytes.
const memoryGrowth = 128 << 20

// checkHeap fails the test if the heap stays much larger than it was. What a request
// used may be held for a moment longer.
func checkHeap(t *testing.T, before uint64) {
	t.Helper()
	eventually(t, "that the heap is small again", func() bool { return heap() <= before+memoryGrowth })
}

// TestFault37HugeBody: an answer nested a million times, and one without end.
func TestFault37HugeBody(t *testing.T) {
	t.Run("nested", func(t *testing.T) {
		step := provider.Status(200, strings.Repeat("[", 1_000_000))
		startOutage(t, startProvider(t, step).URL()).check(t, unusable)
	})
	t.Run("without end", func(t *testing.T) {
		source := startFlood(t, 200, `{"choices":[{"index":0,"message":{"role":"assistant","content":"`, "xxxxxxxx")
		o := startOutage(t, source.url)
		before := heap()
		r := unusable
		r.askers = []asker{inPlain()[0], inStreams()[3]}
		o.check(t, r)
		checkHeap(t, before)
		if most := source.most.Load(); most > 80<<20 {
			t.Errorf("%d bytes of one answer were taken, the limit is 64 MiB", most)
		}
	})
}

// zipped is a text in gzip.
func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write([]byte(text)) // to memory: an error shows in Close
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestFault38Gzip: an answer that is packed so that it unpacks to gigabytes, or that
// is no gzip. One that is packed well, unasked, is read.
func TestFault38Gzip(t *testing.T) {
	packed := func(body string) provider.Step {
		return provider.Status(200, body).Header("Content-Encoding", "gzip").Header("Content-Type", "application/json")
	}
	t.Run("bomb", func(t *testing.T) {
		bomb := zipped(t, `{"choices":[{"message":{"content":"`+strings.Repeat("x", 200<<20))
		o := startOutage(t, startProvider(t, packed(bomb)).URL())
		before := heap()
		r := unusable
		r.askers = []asker{inPlain()[0]}
		o.check(t, r)
		checkHeap(t, before)
	})
	t.Run("no gzip", func(t *testing.T) {
		startOutage(t, startProvider(t, packed("this is not gzip")).URL()).check(t, unusable)
	})
	t.Run("unasked", func(t *testing.T) {
		o := startOutage(t, startProvider(t, packed(zipped(t, chatAnswer))).URL())
		for _, a := range everyone() {
			resp, body := a.ask(t, o.url, "alone")
			a.expects(t, resp, body, "packed")
		}
		checkCounted(t, row{})
	})
}

// TestFault39OtherForm: a stream that nobody asked for, and a plain answer where a
// stream was asked for. Both are converted.
func TestFault39OtherForm(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"stream": provider.Say("some words").Stream(),
		"plain":  provider.Say("some words").Plain(),
	} {
		t.Run(name, func(t *testing.T) {
			o := startOutage(t, startProvider(t, step).URL())
			for _, a := range everyone() {
				resp, body := a.ask(t, o.url, "alone")
				a.expects(t, resp, body, "some words")
			}
			checkCounted(t, row{})
		})
	}
}

// TestFault40SilentAfterHeader: a header of success, and then nothing.
func TestFault40SilentAfterHeader(t *testing.T) {
	r := late
	r.askers = inStreams()
	startOutage(t, startProvider(t, provider.Say("never").StallAt(provider.Start)).URL(), limits).check(t, r)
	t.Run("plain", func(t *testing.T) {
		r.askers = inPlain()
		startOutage(t, startProvider(t, provider.Say("never").StallAt(provider.Start)).URL(), limits, "timeout total 300ms").check(t, r)
	})
}

// TestFault41CommentsOnly: a stream of comments, which are no content.
func TestFault41CommentsOnly(t *testing.T) {
	source := startFlood(t, 200, ": wait\n\n", ": wait\n\n", "Content-Type", "text/event-stream")
	r := late
	r.askers = inStreams()
	startOutage(t, source.url, limits).check(t, r)
}

// TestFault42CutAfterPreamble: a stream that breaks off before its first content.
func TestFault42CutAfterPreamble(t *testing.T) {
	for name, step := range map[string]provider.Step{
		"cut":       provider.Say("never").CutAt(provider.Preamble),
		"reset":     provider.Say("never").ResetAt(provider.Preamble),
		"clean end": provider.Say("never").EndAt(provider.Preamble),
	} {
		t.Run(name, func(t *testing.T) {
			startOutage(t, startProvider(t, step).URL()).
				check(t, row{alone: 502, scope: routing.ScopeUpstreamModel, class: routing.ClassBrokenStream, askers: inStreams()})
		})
	}
}

// TestFault46ErrorFirst: the first event of a stream is an error, which counts as
// what it says.
func TestFault46ErrorFirst(t *testing.T) {
	t.Setenv("TEST_FAULT_KEY", "sk-test-0123456789")
	for code, r := range map[string]row{
		"server_error":        {alone: 502, scope: routing.ScopeUpstreamModel, class: routing.ClassServer},
		"rate_limit_exceeded": {alone: http.StatusTooManyRequests, scope: routing.ScopeUpstreamModel, class: routing.ClassThrottled},
		"insufficient_quota":  {alone: 503, scope: routing.ScopeCredential, class: routing.ClassExhausted},
	} {
		t.Run(code, func(t *testing.T) {
			event := `data: {"error":{"message":"boom","type":"` + code + `","code":"` + code + `"}}` + "\n\n"
			step := provider.Say("never").Stream().InsertAt(provider.Start, event).EndAt(provider.Start)
			r.askers = inStreams()
			startOutage(t, startProvider(t, step).URL(), withKey).check(t, r)
		})
	}
}
