package caddytest

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-ai-gateway/caddy-ai-gateway"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestMain gives Caddy a data directory of its own.
func TestMain(m *testing.M) {
	if os.Getenv(asCaddy) != "" {
		caddycmd.Main()
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "caddytest")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range []string{"HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"} {
		os.Setenv(name, dir)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// gateway is a running Caddy. There is one per process, so tests that have one
// do not run in parallel.
type gateway struct {
	t   *testing.T
	url string
	// data is where the gateway keeps its state.
	data string
	// admin is the address of Caddy's admin endpoint. Default: there is none.
	admin string
	// log collects what Caddy logs.
	log *logBuffer
}

// startGateway runs Caddy with a site whose ai_gateway directive has the given
// block, and global options if any.
func startGateway(t *testing.T, block string, global ...string) *gateway {
	t.Helper()
	return startGatewayAt(t, "http://"+freeAddress(t), block, global...)
}

// startGatewayAt is startGateway with the address of the site.
func startGatewayAt(t *testing.T, url, block string, global ...string) *gateway {
	t.Helper()
	g := &gateway{t: t, url: url, data: t.TempDir(), log: currentLog}
	g.log.reset()
	g.load(block, global...)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return g
}

// load loads a config: the first one, or a reload.
func (g *gateway) load(block string, global ...string) {
	g.t.Helper()
	if err := g.tryLoad(block, global...); err != nil {
		g.t.Fatalf("loading the config: %v", err)
	}
}

func (g *gateway) tryLoad(block string, global ...string) error {
	text := g.caddyfile("caddytest", block, global...)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		return err
	}
	return load(config)
}

// caddyfile is the config with a block and global options, as a Caddyfile whose log goes
// to an output.
func (g *gateway) caddyfile(log, block string, global ...string) string {
	return fmt.Sprintf(`{
	admin %s
	persist_config off
	grace_period 20s
	log {
		output %s
		level DEBUG
		format json
	}
	%s
}
%s {
	log
	route {
		ai_gateway {
			%s
		}
		respond 418
	}
}`, cmp.Or(g.admin, "off"), log, g.withDataDir(strings.Join(global, "\n")), g.url, block)
}

// withDataDir gives the global options a data directory of the test's own.
func (g *gateway) withDataDir(global string) string {
	const app = "ai_gateway {"
	if !strings.Contains(global, app) {
		global += "\n" + app + "\n}"
	}
	return strings.Replace(global, app, app+"\n data_dir "+g.data, 1)
}

// freeAddress returns a loopback address nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// post sends a request and returns the whole answer.
func (g *gateway) post(path, body string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	return g.whole(g.open(g.t.Context(), path, body, headers...))
}

// get sends a GET request and returns the whole answer.
func (g *gateway) get(path string, headers ...string) (*http.Response, string) {
	g.t.Helper()
	return g.whole(g.exchange(g.t.Context(), http.MethodGet, path, "", headers...))
}

// whole reads an answer to its end.
func (g *gateway) whole(resp *http.Response) (*http.Response, string) {
	g.t.Helper()
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("reading the answer: %v", err)
	}
	return resp, string(data)
}

// loadedAt is when a config was last loaded, in nanoseconds since 1970.
var loadedAt atomic.Int64

// load loads a config, and notes when.
func load(config []byte) error {
	defer func() { loadedAt.Store(time.Now().UnixNano()) }()
	return caddy.Load(config, true)
}

// send sends a request. In the second after a reload it is sent again if it got no
// answer: Caddy closes the listeners and connections of the config before while the
// next one serves already (see decision 11), and most tests are about neither.
func send(client *http.Client, req *http.Request) (*http.Response, error) {
	for again := 0; ; again++ {
		resp, err := client.Do(req)
		lost := errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, io.EOF)
		if !lost || time.Since(time.Unix(0, loadedAt.Load())) > time.Second || again == 5 {
			return resp, err
		}
		if req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				return nil, err
			}
		}
	}
}

// open sends a request and returns the answer with its body to be read.
func (g *gateway) open(ctx context.Context, path, body string, headers ...string) *http.Response {
	g.t.Helper()
	return g.exchange(ctx, http.MethodPost, path, body, headers...)
}

// exchange is open for any method.
func (g *gateway) exchange(ctx context.Context, method, path, body string, headers ...string) *http.Response {
	g.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := send(http.DefaultClient, req)
	if err != nil {
		g.t.Fatalf("sending the request: %v", err)
	}
	return resp
}

// startProvider runs a scripted provider.
func startProvider(t *testing.T, steps ...provider.Step) *provider.Provider {
	t.Helper()
	p := provider.New(t)
	p.Script(steps...)
	return p
}

// last returns the latest request a provider has got.
func last(t *testing.T, p *provider.Provider) *provider.Request {
	t.Helper()
	all := p.Requests()
	if len(all) == 0 {
		t.Fatal("the provider was not asked")
	}
	return all[len(all)-1]
}

// client is a way to ask for a chat: a format, streamed or not.
type client struct {
	name, path string
	messages   bool
	stream     bool
}

// clients are all ways to ask.
var clients = []client{
	{"chat", "/v1/chat/completions", false, false},
	{"chat stream", "/v1/chat/completions", false, true},
	{"messages", "/v1/messages", true, false},
	{"messages stream", "/v1/messages", true, true},
}

// body is a request of the client.
func (c client) body(model string) string {
	return fmt.Sprintf(`{"model":%q,"max_tokens":100,"stream":%t,"messages":[{"role":"user","content":"hi"}]}`, model, c.stream)
}

// text reads the answer's text, and fails the test if the answer is not a
// complete one of the client's format.
func (c client) text(t *testing.T, answer string) string {
	t.Helper()
	if !c.stream {
		return c.plainText(t, answer)
	}
	var out strings.Builder
	end := "data: [DONE]\n\n"
	if c.messages {
		end = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	}
	if !strings.HasSuffix(answer, end) {
		t.Fatalf("the stream has no end mark:\n%s", answer)
	}
	for line := range strings.Lines(answer) {
		data, ok := strings.CutPrefix(strings.TrimSpace(line), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var event struct {
			Choices []struct{ Delta struct{ Content string } }
			Delta   struct{ Text string }
			Error   json.RawMessage
		}
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			t.Fatalf("event is not JSON: %s", data)
		}
		if event.Error != nil {
			t.Fatalf("error event in a successful stream:\n%s", answer)
		}
		out.WriteString(event.Delta.Text)
		for _, choice := range event.Choices {
			out.WriteString(choice.Delta.Content)
		}
	}
	return out.String()
}

func (c client) plainText(t *testing.T, answer string) string {
	t.Helper()
	var body struct {
		Choices []struct{ Message struct{ Content string } }
		Content []struct{ Text string }
	}
	if err := json.Unmarshal([]byte(answer), &body); err != nil {
		t.Fatalf("answer is not JSON: %s", answer)
	}
	switch {
	case c.messages && len(body.Content) == 1:
		return body.Content[0].Text
	case !c.messages && len(body.Choices) == 1:
		return body.Choices[0].Message.Content
	default:
		t.Fatalf("answer has another shape: %s", answer)
		return ""
	}
}

// eventually waits until a condition holds, and fails the test if it does not
// within a generous time.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen", what)
		}
		time.Sleep(5 * time.Millisecond) // polling, not waiting for a time
	}
}
