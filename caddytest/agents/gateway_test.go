//go:build unix

package agents

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-ai-gateway/caddy-ai-gateway"
)

// TestMain gives Caddy a data directory of its own.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "agents")
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

// gateway is a running Caddy. There is one per process, so the tests do not run in
// parallel.
type gateway struct {
	url string
	log string // the path of its log
}

// upstreamModel is the model's name at the upstream. Clients ask for another one,
// so that a request that was not routed is seen.
const upstreamModel = "scripted-model"

// startGateway runs Caddy with one upstream of the given format, which serves
// each of the models.
func startGateway(t *testing.T, upstreamURL, format string, models ...string) *gateway {
	t.Helper()
	g := &gateway{url: "http://" + freeAddress(t), log: filepath.Join(t.TempDir(), "log")}
	sources := ""
	for _, model := range models {
		sources += fmt.Sprintf("\t\tmodel %s {\n\t\t\tsource scripted %s\n\t\t}\n", model, upstreamModel)
	}
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	grace_period 5s
	log {
		output file %s
		format json
	}
	ai_gateway {
		upstream scripted %s {
			formats %s
			credential scripted-key
		}
%s	}
}
%s {
	log
	ai_gateway
}`, g.log, upstreamURL, format, sources, g.url)
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), nil)
	if err != nil {
		t.Fatalf("adapting the config: %v\n%s", err, text)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatalf("loading the config: %v", err)
	}
	t.Cleanup(func() { g.stop(t) })
	return g
}

// stop stops Caddy, so that its log is complete. It may be called again.
func (g *gateway) stop(t *testing.T) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Errorf("stopping Caddy: %v", err)
	}
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

// entry is a line of the log. Those of requests have a status.
type entry struct {
	Level   string
	Message string `json:"msg"`
	Status  int
	Request struct {
		Method, URI string
	}
	Header http.Header `json:"resp_headers"`
	raw    string
}

// entries reads the log of a gateway that has been stopped.
func (g *gateway) entries(t *testing.T) []entry {
	t.Helper()
	file, err := os.Open(g.log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var out []entry
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		e := entry{raw: lines.Text()}
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("line of the log is not JSON: %s", e.raw)
		}
		out = append(out, e)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// checkServed stops the gateway and checks that it answered each of the agent's
// questions to a model at the first attempt, through the scripted upstream. It
// returns how many there were.
func (g *gateway) checkServed(t *testing.T, path string) int {
	t.Helper()
	g.stop(t)
	served := 0
	for _, e := range g.entries(t) {
		if e.Level == "error" || e.Level == "panic" {
			t.Errorf("the gateway logged %s", e.raw)
		}
		if e.Status == 0 || e.Request.Method != http.MethodPost || !strings.Contains(e.Request.URI, path) {
			continue
		}
		served++
		for name, want := range map[string]string{
			"X-Selected-Provider": "scripted",
			"X-Selected-Model":    upstreamModel,
			"X-Gateway-Attempts":  "1",
		} {
			if got := e.Header.Get(name); got != want {
				t.Errorf("%s: got %s %q, want %q", e.Request.URI, name, got, want)
			}
		}
		if e.Status != http.StatusOK {
			t.Errorf("%s: got status %d", e.Request.URI, e.Status)
		}
	}
	return served
}
