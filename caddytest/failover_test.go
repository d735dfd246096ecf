package caddytest

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// fault is a way in which a provider fails before its first content.
type fault struct {
	name  string
	step  provider.Step
	alone int // status if there is no other source
	// aloneMessages is the same for an upstream that speaks Anthropic Messages,
	// if it differs.
	aloneMessages int
}

// boom is an error body that says nothing special.
const boom = `{"error":{"message":"boom"}}`

// faults are the rows of the fault matrix that a provider can play before its
// first content.
var faults = []fault{
	{"refused", provider.Step{}, 502, 0},
	{"closed at once", provider.CloseAtOnce(), 502, 0},
	{"reset at once", provider.ResetAtOnce(), 502, 0},
	{"closed after the request", provider.CloseAfterRequest(), 502, 0},
	{"reset after the request", provider.ResetAfterRequest(), 502, 0},
	{"not HTTP", provider.NotHTTP(), 502, 0},
	{"silent", provider.Silent(), 504, 0},
	{"header without end", provider.EndlessHeader(0), 502, 0},
	{"status 500", provider.Status(500, boom), 500, 0},
	{"status 502 with HTML", provider.Status(502, "<html>Bad Gateway</html>").Header("Content-Type", "text/html"), 502, 0},
	{"status 503", provider.Status(503, "no"), 503, 0},
	{"status 504", provider.Status(504, ""), 504, 0},
	{"status 529", provider.Status(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), overloaded, 0},
	{"status 429", provider.Status(429, boom), 429, 0},
	{"status 429 quota", provider.Status(429, `{"error":{"message":"quota","code":"insufficient_quota"}}`), 503, 0},
	{"status 401", provider.Status(401, boom), 502, 0},
	{"status 402", provider.Status(402, boom), 503, 0},
	{"status 403", provider.Status(403, boom), 502, 0},
	{"status 404", provider.Status(404, boom), 404, 0},
	{"status 999", provider.Status(999, boom), 500, 0},
	{"huge error", provider.HugeError(500, 1<<20), 500, 0},
	{"redirect", provider.Redirect(302, "http://127.0.0.1:1/"), 502, 0},
	{"200 with HTML", provider.HTML(), 502, 0},
	{"200 and empty", provider.Empty(), 502, 0},
	{"204", provider.NoContent(), 502, 0},
	{"null", provider.Status(200, "null"), 502, 0},
	{"wrong shape", provider.WrongShape(), 502, 0},
	{"not JSON", provider.NotJSON(), 502, 0},
	{"nested a million times", provider.Status(200, strings.Repeat("[", 1_000_000)), 502, 0},
	{"error in a success", provider.ErrorObject("server_error", "boom"), 502, 0},
	{"error event first", provider.Say("never").Stream().InsertAt(provider.Start, ": wait\n\n").ErrorAt(provider.Start), 502, overloaded},
	{"error event after the preamble", provider.Say("never").Stream().ErrorAt(provider.Preamble), 502, overloaded},
	{"no content", provider.Say("never").Stream().StallAt(provider.Preamble), 504, 0},
	{"comments without end", provider.Say("never").Stream().InsertAt(provider.Start, strings.Repeat(": wait\n\n", 100_000)).StallAt(provider.Start), 504, 0},
	{"cut after the preamble", provider.Say("never").CutAt(provider.Preamble), 502, 0},
	{"clean end after the preamble", provider.Say("never").Stream().EndAt(provider.Preamble), 502, 0},
	{"garbage after the preamble", provider.Say("never").Stream().GarbageAt(provider.Preamble), 502, 0},
	{"cut in the middle of a document", provider.Say("never").Plain().CutAt(1), 502, 0},
	{"garbage as gzip", provider.Status(200, "this is not gzip").Header("Content-Encoding", "gzip"), 502, 0},
	{"unknown encoding", provider.Status(200, "xx").Header("Content-Encoding", "br"), 502, 0},
}

// overloaded stands for 529, which only Anthropic's clients know; others see 503.
const overloaded = 529

// TestFailover runs every fault against every client and every format of the
// failing upstream: the client sees only the second source's answer, and a
// precise error if there is none.
func TestFailover(t *testing.T) {
	second := startProvider(t, provider.Say("from the second"))
	var block strings.Builder
	fmt.Fprintf(&block, "upstream second %s {\n formats openai_chat\n}\n", second.URL())
	fmt.Fprintf(&block, "upstream second-messages %s {\n formats anthropic_messages\n}\n", second.URL())
	for i, f := range faults {
		address := provider.Refused(t)
		if f.name != "refused" {
			address = startProvider(t, f.step).URL()
		}
		for _, id := range []string{"openai_chat", "anthropic_messages"} {
			name := fmt.Sprintf("f%d-%s", i, id)
			fmt.Fprintf(&block, "upstream %s %s {\n formats %s\n retries 0\n timeout response_header 300ms\n timeout first_content 300ms\n}\n", name, address, id)
			fmt.Fprintf(&block, "model alone-%s {\n source %s x\n}\n", name, name)
			fmt.Fprintf(&block, "model backed-%s {\n source %s x\n source second y priority 2\n}\n", name, name)
			fmt.Fprintf(&block, "model backed2-%s {\n source %s x\n source second-messages y priority 2\n}\n", name, name)
		}
	}
	g := startGateway(t, block.String(), "ai_gateway {\n circuit off\n}") // each fault comes more than five times
	for i, f := range faults {
		for _, id := range []string{"openai_chat", "anthropic_messages"} {
			for _, c := range clients {
				name := fmt.Sprintf("f%d-%s", i, id)
				t.Run(strings.Join([]string{f.name, id, c.name}, "/"), func(t *testing.T) {
					g.t = t
					for _, prefix := range []string{"backed-", "backed2-"} {
						resp, answer := g.post(c.path, c.body(prefix+name))
						if resp.StatusCode != 200 || c.text(t, answer) != "from the second" {
							t.Errorf("%s: %d %s", prefix, resp.StatusCode, answer)
						}
						// One that asked to be left alone is not asked a second time.
						left := f.alone == http.StatusTooManyRequests
						if got := resp.Header.Get("X-Gateway-Attempts"); got != "2" && !(left && got == "1") {
							t.Errorf("%s: %s attempts, want 2", prefix, got)
						}
						if got := resp.Header.Get("X-Selected-Provider"); !strings.HasPrefix(got, "second") {
							t.Errorf("%s: provider %s", prefix, got)
						}
					}
					checkAlone(t, g, c, f, "alone-"+name, id)
				})
			}
		}
	}
}

// checkAlone holds the error of a model whose only source fails against the
// fault's status.
func checkAlone(t *testing.T, g *gateway, c client, f fault, model, id string) {
	t.Helper()
	resp, answer := g.post(c.path, c.body(model))
	want := f.alone
	if id == "anthropic_messages" && f.aloneMessages != 0 {
		want = f.aloneMessages
	}
	if want == overloaded && !c.messages {
		want = 503
	}
	if resp.StatusCode != want {
		t.Errorf("alone: status %d, want %d: %s", resp.StatusCode, want, answer)
	}
	checkErrorShape(t, c, resp, answer)
}

// checkErrorShape holds an error against the client's format.
func checkErrorShape(t *testing.T, c client, resp *http.Response, answer string) {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("an error of type %q", got)
	}
	want := `{"error":{`
	if c.messages {
		want = `{"type":"error","error":{`
	}
	if !strings.HasPrefix(answer, want) {
		t.Errorf("error of another shape: %s", answer)
	}
	if resp.Header.Get("X-Request-Id") == "" {
		t.Error("an error without a request id")
	}
}

// TestNoFailoverForClientFaults shows that a request that is at fault itself is
// not tried elsewhere, and that its status stays.
func TestNoFailoverForClientFaults(t *testing.T) {
	second := startProvider(t, provider.Say("from the second"))
	for _, status := range []int{400, 405, 413, 415, 418, 422} {
		first := startProvider(t, provider.Status(status, `{"error":{"message":"the field foo is wrong","type":"invalid_request_error","param":"foo"}}`))
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			g := startGateway(t, fmt.Sprintf("upstream first %s\nupstream second %s\nmodel m {\n source first x\n source second y priority 2\n}", first.URL(), second.URL()))
			for _, c := range clients {
				resp, answer := g.post(c.path, c.body("m"))
				if resp.StatusCode != status || !strings.Contains(answer, "the field foo is wrong") {
					t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
				}
				if resp.Header.Get("X-Should-Retry") != "false" {
					t.Errorf("%s: SDKs are not told to leave it", c.name)
				}
				checkErrorShape(t, c, resp, answer)
			}
		})
	}
	if n := len(second.Requests()); n != 0 {
		t.Errorf("the second source was asked %d times", n)
	}
}

// TestDoubleFailure shows that two failures before the first content give a real
// status and not a byte of a stream.
func TestDoubleFailure(t *testing.T) {
	first := startProvider(t, provider.Say("never").CutAt(provider.Preamble))
	second := startProvider(t, provider.Status(500, boom))
	g := startGateway(t, fmt.Sprintf("upstream first %s\nupstream second %s {\n retries 0\n}\nmodel m {\n source first x\n source second y priority 2\n}", first.URL(), second.URL()), "ai_gateway {\n circuit off\n}")
	for _, c := range clients {
		resp, answer := g.post(c.path, c.body("m"))
		if resp.StatusCode != 500 || strings.Contains(answer, "data:") {
			t.Errorf("%s: %d %s", c.name, resp.StatusCode, answer)
		}
		checkErrorShape(t, c, resp, answer)
		if got := resp.Header.Get("X-Gateway-Attempts"); got != "2" {
			t.Errorf("%s: %s attempts, want 2", c.name, got)
		}
	}
}

// TestAttemptsAreBounded shows that at most three sources are tried.
func TestAttemptsAreBounded(t *testing.T) {
	dead := startProvider(t, provider.Status(500, boom))
	var block strings.Builder
	for i := range 5 {
		fmt.Fprintf(&block, "upstream u%d %s\n", i, dead.URL())
	}
	block.WriteString("model m {\n")
	for i := range 5 {
		fmt.Fprintf(&block, "source u%d x\n", i)
	}
	block.WriteString("}")
	g := startGateway(t, block.String())
	resp, _ := g.post("/v1/messages", clients[2].body("m"))
	if n := len(dead.Requests()); n != 3 || resp.Header.Get("X-Gateway-Attempts") != "3" {
		t.Errorf("%d attempts, header says %s, want 3", n, resp.Header.Get("X-Gateway-Attempts"))
	}
	if resp.Header.Get("X-Should-Retry") != "false" {
		t.Error("SDKs are not told that everything has been tried")
	}
}
