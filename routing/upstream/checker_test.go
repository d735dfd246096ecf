package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/anthropic"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/gemini"
	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai"
)

// transportFunc is a transport without a network.
type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering is a transport that answers with what next says.
func answering(next func() int) transportFunc {
	return func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: next(), Body: http.NoBody, Request: r}, nil
	}
}

// checkerOf makes a checker whose calls go through the transport.
func checkerOf(t *testing.T, config string, transport http.RoundTripper) *Checker {
	t.Helper()
	u := mustProvision(t, "openai", config)
	u.transport = transport
	c, ok := u.Checker()
	if !ok {
		t.Fatal("there is nothing to check")
	}
	return c
}

func TestNothingToCheck(t *testing.T) {
	for _, config := range []string{`{}`, `{"health":{},"disabled":true}`, `{"health":{},"base_url":"{env.NO_SUCH}"}`} {
		u := mustProvision(t, "openai", config)
		if _, ok := u.Checker(); ok {
			t.Errorf("%s: there is a checker", config)
		}
		if u.Unhealthy() || u.HealthView() != (HealthView{}) || u.HealthView().Reason() != "" {
			t.Errorf("%s: got %+v", config, u.HealthView())
		}
	}
}

// The upstream goes down by three failures in a row and comes back by two
// successes in a row, without any request.
func TestChecksOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		statuses := []int{200, 500, 503, 200, 500, 500, 500, 200, 500, 200, 200, 204}
		var asked []time.Duration
		began := time.Now()
		c := checkerOf(t, `{"health":{}}`, answering(func() int {
			asked = append(asked, time.Since(began))
			return statuses[len(asked)-1]
		}))
		var changes []string
		ctx, cancel := context.WithCancel(t.Context())
		c.OnChange = func(v HealthView) {
			changes = append(changes, v.Reason())
			if v.Unhealthy != c.u.Unhealthy() || !v.Since.Equal(time.Now()) {
				t.Errorf("change after %d checks: got %+v", len(asked), v)
			}
			if want := map[bool]int{true: 7, false: 11}[v.Unhealthy]; len(asked) != want {
				t.Errorf("unhealthy became %t after %d checks, want %d", v.Unhealthy, len(asked), want)
			}
			if !v.Unhealthy {
				cancel()
			}
		}
		c.Run(ctx)
		if len(changes) != 2 || !strings.HasPrefix(changes[0], "unhealthy since 2000-01-01T00:0") || !strings.HasSuffix(changes[0], "Z: status 500") || changes[1] != "" {
			t.Errorf("got changes %q", changes)
		}
		v := c.u.HealthView()
		if v.LastError != "status 500" || !v.LastErrorAt.Equal(began.Add(asked[8])) || !v.LastOK.Equal(began.Add(asked[10])) {
			t.Errorf("got %+v", v)
		}
		if asked[0] >= 3*time.Second {
			t.Errorf("the first check came after %s", asked[0])
		}
		same := true
		for i := 1; i < len(asked); i++ {
			gap := asked[i] - asked[i-1]
			if gap < 27*time.Second || gap >= 33*time.Second {
				t.Errorf("check %d came %s after the one before", i, gap)
			}
			same = same && gap == asked[1]-asked[0]
		}
		if same {
			t.Error("the interval is not varied")
		}
	})
}

func TestChecksAreLimitedAndSingle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		calls, inside := 0, 0
		c := checkerOf(t, `{"health":{"interval":"2s","timeout":"2s","unhealthy":1}}`, transportFunc(func(r *http.Request) (*http.Response, error) {
			calls++
			if inside++; inside > 1 {
				t.Error("two checks at once")
			}
			defer func() { inside-- }()
			began := time.Now()
			<-r.Context().Done()
			if took := time.Since(began); calls < 4 && took != 2*time.Second {
				t.Errorf("check %d took %s", calls, took)
			}
			return nil, r.Context().Err()
		}))
		time.AfterFunc(11*time.Second, cancel)
		c.Run(ctx)
		if v := c.u.HealthView(); !v.Unhealthy || v.LastError != "no answer within 2s" {
			t.Errorf("got %+v", v)
		}
		if calls < 3 || calls > 4 {
			t.Errorf("got %d checks", calls)
		}
	})
}

// What the end of the gateway cuts off says nothing of the upstream.
func TestCheckThatIsCutOffIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := checkerOf(t, `{"health":{"unhealthy":1}}`, transportFunc(func(r *http.Request) (*http.Response, error) {
			cancel()
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		c.Run(ctx)
		if v := c.u.HealthView(); v != (HealthView{}) {
			t.Errorf("got %+v", v)
		}
	})
}

func TestVerdicts(t *testing.T) {
	for _, tc := range []struct {
		name, config string
		statuses     []int // one for each call
		unhealthy    bool
		lastError    string
	}{
		{"success", `{"health":{"unhealthy":1}}`, []int{204}, false, ""},
		{"the status that is wanted", `{"health":{"unhealthy":1,"status":"404"}}`, []int{404}, false, ""},
		{"another", `{"health":{"unhealthy":1,"status":"200"}}`, []int{204}, true, "status 204"},
		{"a class", `{"health":{"unhealthy":1,"status":"4XX"}}`, []int{418}, false, ""},
		{"a redirect is no success", `{"health":{"unhealthy":1}}`, []int{302}, true, "status 302"},
		{"throttled", `{"health":{"unhealthy":1}}`, []int{429}, false, ""},
		{"refused", `{"health":{"unhealthy":1}}`, []int{401}, true, "status 401"},
		{"one of two keys is taken", `{"health":{"unhealthy":1},"credentials":[{"type":"bearer","token":"a"},{"type":"bearer","token":"b"}]}`, []int{403, 200}, false, ""},
		{"no key is taken", `{"health":{"unhealthy":1},"credentials":[{"type":"bearer","token":"a"},{"type":"bearer","token":"b"}]}`, []int{402, 401}, true, "status 401"},
		{"not about the key", `{"health":{"unhealthy":1},"credentials":[{"type":"bearer","token":"a"},{"type":"bearer","token":"b"}]}`, []int{500}, true, "status 500"},
		{"an empty key is not tried", `{"health":{"unhealthy":1},"credentials":[{"type":"bearer","token":"{env.NO_SUCH}"},{"type":"bearer","token":"b"}]}`, []int{200}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := 0
			c := checkerOf(t, tc.config, answering(func() int {
				calls++
				return tc.statuses[min(calls, len(tc.statuses))-1]
			}))
			c.check(t.Context())
			v := c.u.HealthView()
			if v.Unhealthy != tc.unhealthy || v.LastError != tc.lastError || calls != len(tc.statuses) {
				t.Errorf("got %+v after %d calls", v, calls)
			}
		})
	}
}

func TestCheckRequests(t *testing.T) {
	t.Setenv("TEAM", "blue")
	for _, tc := range []struct {
		name, upstream, config string
		want                   string // method and address
		headers                map[string]string
		body                   string
	}{
		{"path", "mine", `{"base_url":"http://h:8000/v1","health":{"path":"/health","headers":{"x-team":["{env.TEAM}"],"Accept-Language":["en"]}},"credentials":[{"type":"bearer","token":"tok"}]}`, "GET http://h:8000/health", map[string]string{"Authorization": "Bearer tok", "X-Team": "blue", "Content-Type": "", "Accept": "*/*", "User-Agent": "caddy-ai-gateway"}, ""},
		{"root", "ollama", `{"health":{"path":"/"}}`, "GET http://localhost:11434/", nil, ""},
		{"models", "openai", `{"health":{}}`, "GET https://api.openai.com/v1/models", nil, ""},
		{"models below a path", "groq", `{"health":{"models":true}}`, "GET https://api.groq.com/openai/v1/models", nil, ""},
		{"models of Anthropic", "anthropic", `{"health":{},"headers":{"X-A":["1"]},"credentials":[{"type":"header","name":"x-api-key","value":"tok"}]}`, "GET https://api.anthropic.com/v1/models", map[string]string{"Anthropic-Version": "2023-06-01", "X-Api-Key": "tok", "X-A": "1"}, ""},
		{"models of Gemini", "gemini", `{"health":{}}`, "GET https://generativelanguage.googleapis.com/v1beta/models", nil, ""},
		{"models of DeepSeek", "deepseek", `{"health":{}}`, "GET https://api.deepseek.com/models", nil, ""},
		{"models beside embeddings", "mine", `{"base_url":"http://h","formats":["openai_embeddings"],"health":{}}`, "GET http://h/v1/models", nil, ""},
		{"models of an escaped path", "mine", `{"base_url":"http://h/a%2Fb/v1","health":{}}`, "GET http://h/a%2Fb/v1/models", nil, ""},
		{"probe", "openai", `{"health":{"probe":"gpt-x","headers":{"X-B":["2"]}},"credentials":[{"type":"bearer","token":"tok"}]}`, "POST https://api.openai.com/v1/chat/completions", map[string]string{"Authorization": "Bearer tok", "Content-Type": "application/json", "X-B": "2"}, `{"model":"gpt-x","messages":[{"role":"user","content":"ping"}],"max_completion_tokens":16}`},
		{"probe of Anthropic", "anthropic", `{"health":{"probe":"claude-x"}}`, "POST https://api.anthropic.com/v1/messages", nil, `{"model":"claude-x","max_tokens":16,"messages":[{"role":"user","content":"ping"}]}`},
		{"probe of Gemini", "gemini", `{"health":{"probe":"gem"}}`, "POST https://generativelanguage.googleapis.com/v1beta/models/gem:generateContent", nil, `{"contents":[{"role":"user","parts":[{"text":"ping"}]}],"generationConfig":{"maxOutputTokens":16}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, tc.upstream, tc.config)
			for range 2 { // nothing that requests share is used up
				var request *http.Request
				var body []byte
				u.transport = transportFunc(func(r *http.Request) (*http.Response, error) {
					if request = r; r.Body != nil {
						body, _ = io.ReadAll(r.Body)
						_ = r.Body.Close()
					}
					return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
				})
				c, ok := u.Checker()
				if !ok {
					t.Fatal("there is nothing to check")
				}
				c.check(t.Context())
				if got := request.Method + " " + request.URL.String(); got != tc.want {
					t.Errorf("got %s, want %s", got, tc.want)
				}
				if request.Host != request.URL.Host {
					t.Errorf("got host %s", request.Host)
				}
				for name, want := range tc.headers {
					if got := request.Header.Get(name); got != want {
						t.Errorf("%s: got %q, want %q", name, got, want)
					}
				}
				if string(body) != tc.body {
					t.Errorf("got body  %s\nwant body %s", body, tc.body)
				}
			}
			if v := u.HealthView(); v.LastOK.IsZero() || v.LastError != "" {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestCheckErrorsTellNoSecrets(t *testing.T) {
	u := mustProvision(t, "mine", `{"base_url":"http://llm.example.test:8000","health":{},"credentials":[{"type":"bearer","token":"plain-secret"}]}`)
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8000}, Err: errors.New("connection refused")}, "dial: connection refused"},
		{"unknown name", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "llm.example.test", Server: "10.0.0.2:53"}}, "looking up the name: no such host"},
		{"host in the text", errors.New("certificate is valid for x, not llm.example.test (llm.example.test:8000)"), "certificate is valid for x, not [host] ([host])"},
		{"key in the text", errors.New("bad token plain-secret\nagain"), "bad token [hidden]"},
		{"late", context.DeadlineExceeded, "no answer within 5s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := u.describe(tc.err); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	if got := u.describe(errors.New(strings.Repeat("x", 9000))); len(got) > 300 {
		t.Errorf("got %d bytes", len(got))
	}
}

// A service that fails is down without a request from a user, and up again when
// it has healed; over real connections, which are used again.
func TestChecksOfAServer(t *testing.T) {
	var broken atomic.Bool
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, strings.Repeat(r.URL.Path, 100))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	u := mustProvision(t, "mine", `{"base_url":"`+server.URL+`","health":{"path":"/health","unhealthy":2}}`)
	c, ok := u.Checker()
	if !ok {
		t.Fatal("there is nothing to check")
	}
	var marks []bool
	step := func() {
		c.check(t.Context())
		marks = append(marks, u.Unhealthy())
	}
	step()
	broken.Store(true)
	step()
	step()
	broken.Store(false)
	step()
	step()
	if want := []bool{false, false, true, true, false}; !slices.Equal(marks, want) {
		t.Errorf("got %v, want %v", marks, want)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("got %d connections", n)
	}
	server.Close()
	step()
	step()
	if v := u.HealthView(); !v.Unhealthy || strings.Contains(v.LastError, "127.0.0.1") || !strings.Contains(v.LastError, "refused") {
		t.Errorf("got %+v", v)
	}
	// The mark bars requests by choice of the one who routes, not here.
	if _, err := u.request(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x")}); err != nil {
		t.Errorf("got %v", err)
	}
}
