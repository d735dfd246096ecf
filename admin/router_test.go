package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(new(testApp)) }

// testApp stands in for the app ai_gateway. Its status tells which one has
// answered, and whether it should have.
type testApp struct {
	// Version is what its status says.
	Version string `json:"version,omitempty"`
	// Fail makes it fail to start.
	Fail bool `json:"fail,omitempty"`

	stubGateway
	cleaned atomic.Bool
}

func (*testApp) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "ai_gateway", New: func() caddy.Module { return new(testApp) }}
}

func (a *testApp) Start() error {
	if a.Fail {
		return errors.New("told to fail")
	}
	return nil
}

func (a *testApp) Stop() error    { return nil }
func (a *testApp) Cleanup() error { a.cleaned.Store(true); return nil }

func (a *testApp) Status() Status {
	if a.cleaned.Load() {
		return Status{Version: "a dead app"}
	}
	return Status{Version: a.Version}
}

// freeAddress finds a port for the admin endpoint.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// load gives Caddy a config with these apps.
func load(t *testing.T, address, apps string) error {
	t.Helper()
	text := fmt.Sprintf(`{"admin":{"listen":%q,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}},"apps":%s}`, address, apps)
	return caddy.Load([]byte(text), true)
}

// ask sends a request to the admin endpoint. One that comes while a reload closes
// the old endpoint is reset, and sent again.
func ask(t *testing.T, address, method, path, body string, headers ...string) (int, string) {
	t.Helper()
	var resp *http.Response
	var err error
	for range 20 {
		var r *http.Request
		if r, err = http.NewRequestWithContext(t.Context(), method, "http://"+address+path, strings.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		r.Close = true
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		if resp, err = http.DefaultClient.Do(r); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// TestRouter asks a real admin endpoint, over reloads good and bad.
func TestRouter(t *testing.T) {
	address := freeAddress(t)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	})
	want := func(status int, parts ...string) func(int, string) {
		return func(got int, answer string) {
			t.Helper()
			if !json.Valid([]byte(answer)) {
				t.Errorf("not JSON: %s", answer)
			}
			for _, part := range parts {
				if got != status || !strings.Contains(answer, part) {
					t.Errorf("got %d %s, want %d with %s", got, answer, status, part)
				}
			}
		}
	}
	if err := load(t, address, `{}`); err != nil {
		t.Fatal(err)
	}
	want(404, "not_configured", "directive ai_gateway")(ask(t, address, "GET", "/ai_gateway/status", ""))
	want(404, "not_found")(ask(t, address, "GET", "/ai_gateway/", ""))

	if err := load(t, address, `{"ai_gateway":{"version":"one"}}`); err != nil {
		t.Fatal(err)
	}
	want(200, `"version":"one"`)(ask(t, address, "GET", "/ai_gateway/status", ""))
	want(405, "method_not_allowed")(ask(t, address, "DELETE", "/ai_gateway/status", ""))
	want(200, `"upstream":"a/b .."`)(ask(t, address, "POST", "/ai_gateway/upstreams/"+segment("a/b ..")+"/circuit/open", `{"reason":"x"}`))
	want(200, `"upstream":".."`)(ask(t, address, "POST", "/ai_gateway/upstreams/"+segment("..")+"/circuit/open", `{"reason":"x"}`))
	want(403, "origin")(ask(t, address, "POST", "/ai_gateway/upstreams/openai/circuit/reset", "{}", "Origin", "http://evil.example"))
	want(403, "cross_origin")(ask(t, address, "POST", "/ai_gateway/upstreams/openai/circuit/reset", "{}", "Sec-Fetch-Site", "cross-site", "Origin", "http://"+address))

	if err := load(t, address, `{"ai_gateway":{"version":"two"}}`); err != nil {
		t.Fatal(err)
	}
	want(200, `"version":"two"`)(ask(t, address, "GET", "/ai_gateway/status", ""))

	if err := load(t, address, `{"ai_gateway":{"version":"three","fail":true}}`); err == nil {
		t.Fatal("a config that cannot start was loaded")
	}
	want(200, `"version":"two"`)(ask(t, address, "GET", "/ai_gateway/status", ""))

	if err := load(t, address, `{}`); err != nil {
		t.Fatal(err)
	}
	want(404, "not_configured")(ask(t, address, "GET", "/ai_gateway/status", ""))
}
