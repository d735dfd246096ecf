package caddytest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// operated is a running Caddy with its management API.
type operated struct {
	*gateway
	// admin is the address of the admin endpoint.
	admin string
	// options stand in the global option ai_gateway, block in the site's directive.
	options, block string
}

// Secret keys of tests.
const (
	keyOne = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	keyTwo = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

// operate runs Caddy with the options and the block.
func operate(t *testing.T, options, block string) *operated {
	t.Helper()
	g := &operated{
		gateway: &gateway{t: t, url: "http://" + freeAddress(t), data: t.TempDir(), log: currentLog},
		admin:   freeAddress(t), options: options, block: block,
	}
	g.log.reset()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		g.stop()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	g.reload()
	return g
}

// text is the config as a Caddyfile.
func (g *operated) text() string {
	return operatedConfig(g.admin, "output caddytest\nlevel DEBUG", g.data, g.options, g.url, g.block)
}

func operatedConfig(admin, log, data, options, url, block string) string {
	return fmt.Sprintf("{\nadmin %s\npersist_config off\ngrace_period 20s\nlog {\n%s\nformat json\n}\nai_gateway {\ndata_dir %s\n%s\n}\n}\n%s {\nroute {\nai_gateway {\n%s\n}\nrespond 418\n}\n}\n",
		admin, log, data, options, url, block)
}

// reload loads the config as it is now.
func (g *operated) reload() {
	g.t.Helper()
	if err := g.tryReload(); err != nil {
		g.t.Fatalf("loading the config: %v", err)
	}
}

func (g *operated) tryReload() error {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(g.text()), nil)
	if err != nil {
		return err
	}
	defer http.DefaultClient.CloseIdleConnections() // the admin endpoint is another one
	return load(config)
}

// stop loads a config without the gateway, so that its store is closed and its
// memory is gone.
func (g *operated) stop() {
	g.t.Helper()
	if err := caddy.Load([]byte(`{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"caddytest"}}}}}`), true); err != nil {
		g.t.Errorf("unloading the gateway: %v", err)
	}
}

// restart stops the gateway and starts it again.
func (g *operated) restart() {
	g.t.Helper()
	g.stop()
	g.reload()
}

// apiReply is an answer of the management API.
type apiReply struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	body   []byte
}

// get reads a value of the body.
func (r *apiReply) get(path string) gjson.Result { return gjson.GetBytes(r.body, path) }

// is demands a status.
func (r *apiReply) is(status int) *apiReply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: got %d, want %d: %.600s", r.call, r.status, status, r.body)
	}
	return r
}

// refused demands an error with a code, and a field if that is not "".
func (r *apiReply) refused(status int, code, field string) *apiReply {
	r.t.Helper()
	r.is(status)
	if r.get("error.code").String() != code || field != "" && r.get("error.field").String() != field {
		r.t.Fatalf("%s: want code %q and field %q: %s", r.call, code, field, r.body)
	}
	if r.get("error.message").String() == "" {
		r.t.Errorf("%s: no message: %s", r.call, r.body)
	}
	return r
}

// has demands values of the body: paths and their JSON.
func (r *apiReply) has(pairs ...string) *apiReply {
	r.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := r.get(pairs[i]).Raw; got != pairs[i+1] {
			r.t.Errorf("%s: %s is %s, want %s: %.800s", r.call, pairs[i], got, pairs[i+1], r.body)
		}
	}
	return r
}

// names are the names of the items of a list.
func (r *apiReply) names() string {
	var names []string
	for _, name := range r.get("items.#.name").Array() {
		names = append(names, name.String())
	}
	return strings.Join(names, " ")
}

// do calls the management API, and holds the answer against its description. The
// body is JSON as text.
func (g *operated) do(method, path, body string, headers ...string) *apiReply {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.admin+"/ai_gateway"+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if method != http.MethodGet && method != http.MethodDelete {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	r := &apiReply{t: g.t, call: method + " " + path, status: resp.StatusCode, header: resp.Header, body: data}
	checkDescribed(r, method, path)
	return r
}

// read is a GET that succeeds.
func (g *operated) read(path string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodGet, path, "").is(http.StatusOK)
}

// create makes a definition.
func (g *operated) create(kind, name, spec string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodPost, "/"+kind, fmt.Sprintf(`{"name":%q,"spec":%s}`, name, spec)).is(http.StatusCreated)
}

// patch changes a definition.
func (g *operated) patch(path, spec string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodPatch, path, `{"spec":`+spec+`}`)
}

// chat asks for a model and returns the status and the body. A connection that the
// server of an earlier config has closed before it answered is made again.
func (g *operated) chat(model string) (status int, body string) {
	g.t.Helper()
	eventually(g.t, "an answer of the site", func() bool {
		resp, err := http.Post(g.url+"/v1/chat/completions", "application/json", strings.NewReader(clients[0].body(model)))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		if err != nil {
			g.t.Fatalf("reading the answer: %v", err)
		}
		status, body = resp.StatusCode, string(data)
		return true
	})
	return status, body
}

// served are the models that clients see.
func (g *operated) served() string {
	g.t.Helper()
	_, body := g.gateway.get("/v1/models")
	var names []string
	for _, name := range gjson.Get(body, "data.#.id").Array() {
		names = append(names, name.String())
	}
	return strings.Join(names, " ")
}

// listing is a list of models in the form of OpenAI.
func listing(names ...string) string {
	entries := make([]map[string]string, len(names))
	for i, name := range names {
		entries[i] = map[string]string{"id": name, "object": "model"}
	}
	text, err := json.Marshal(map[string]any{"object": "list", "data": entries})
	if err != nil {
		panic(err) // texts only
	}
	return string(text)
}

// lists answers GET with a list, and other requests with a step.
func lists(list string, other provider.Step) func(*provider.Request) provider.Step {
	return func(r *provider.Request) provider.Step {
		if r.Method == http.MethodGet {
			return provider.Status(http.StatusOK, list)
		}
		return other
	}
}

// gets counts the GET requests that a provider got.
func gets(p *provider.Provider) int {
	n := 0
	for _, r := range p.Requests() {
		if r.Method == http.MethodGet {
			n++
		}
	}
	return n
}
