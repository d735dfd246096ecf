package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
)

// managed is a gateway with the management API on Caddy's admin endpoint.
type managed struct {
	*gateway
	// options stand in the global option ai_gateway, block in the site's directive. They
	// count with the next reload.
	options, block string
}

// Secret keys of tests.
const (
	keyOne = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	keyTwo = "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="
)

// newManaged is a gateway that nobody has started.
func newManaged(t *testing.T, options, block string) *managed {
	t.Helper()
	g := &gateway{t: t, url: "http://" + freeAddress(t), data: t.TempDir(), admin: freeAddress(t), log: currentLog}
	return &managed{gateway: g, options: options, block: block}
}

// startManaged runs Caddy with the options and the block.
func startManaged(t *testing.T, options, block string) *managed {
	t.Helper()
	g := newManaged(t, options, block)
	g.log.reset()
	t.Cleanup(func() {
		g.stop()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	g.reload()
	return g
}

// global are the global options with those of the gateway.
func (g *managed) global() string { return "ai_gateway {\n" + g.options + "\n}" }

// reload loads the config as it is now.
func (g *managed) reload() {
	g.t.Helper()
	if err := g.tryReload(); err != nil {
		g.t.Fatalf("loading the config: %v", err)
	}
}

// tryReload is reload with the error. The connections of clients end with the config
// before.
func (g *managed) tryReload() error {
	defer http.DefaultClient.CloseIdleConnections()
	return g.tryLoad(g.block, g.global())
}

// reconfigure reloads with other options and another block.
func (g *managed) reconfigure(options, block string) {
	g.t.Helper()
	g.options, g.block = options, block
	g.reload()
}

// stop loads a config without the gateway and without an admin endpoint, so that its
// store is closed and its memory is gone. caddy.Stop would leave the endpoint.
func (g *managed) stop() {
	g.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := load([]byte(`{"admin":{"disabled":true,"config":{"persist":false}},"logging":{"logs":{"default":{"writer":{"output":"caddytest"}}}}}`)); err != nil {
		g.t.Errorf("unloading the gateway: %v", err)
	}
}

// restart stops the gateway and starts it again with the config as it is now, on the
// same data.
func (g *managed) restart() {
	g.t.Helper()
	g.stop()
	g.reload()
}

// oneOff makes a connection for each request: a reload closes those of the admin
// endpoint.
var oneOff = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// begin calls the management API and returns the answer with its body to be read. What
// is posted, put or patched is JSON, unless the headers say otherwise.
func (g *managed) begin(ctx context.Context, method, path, body string, headers ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.admin+"/ai_gateway"+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch}, method) {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	return send(oneOff, req)
}

// request calls the management API, and holds the answer against its description. With
// an error the reply has no status.
func (g *managed) request(ctx context.Context, method, path, body string, headers ...string) (*apiReply, error) {
	r := &apiReply{t: g.t, call: method + " " + path}
	resp, err := g.begin(ctx, method, path, body, headers...)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return r, fmt.Errorf("reading the answer: %w", err)
	}
	r.status, r.header, r.body = resp.StatusCode, resp.Header, string(data)
	checkDescribed(r, method, path)
	return r, nil
}

// do is a request that gets an answer.
func (g *managed) do(method, path, body string, headers ...string) *apiReply {
	g.t.Helper()
	r, err := g.request(g.t.Context(), method, path, body, headers...)
	if err != nil {
		g.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// refused makes a request that must be refused with a status, a code and a field, and
// change nothing.
func (g *managed) refused(status int, code, field, method, path, body string, headers ...string) *apiReply {
	g.t.Helper()
	before := g.everything()
	r := g.do(method, path, body, headers...).fails(status, code, field)
	if after := g.everything(); after != before {
		g.t.Errorf("%s was refused and has changed something:\n%s\n%s", r.call, before, after)
	}
	return r
}

// read is a GET that succeeds.
func (g *managed) read(path string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodGet, path, "").is(http.StatusOK)
}

// create makes a definition: of upstreams, models or aliases.
func (g *managed) create(kind, name, spec string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodPost, "/"+kind, named(name, spec)).is(http.StatusCreated)
}

// patch changes the definition at a path.
func (g *managed) patch(path, spec string, headers ...string) *apiReply {
	g.t.Helper()
	return g.do(http.MethodPatch, path, unnamed(spec), headers...).is(http.StatusOK)
}

// everything is what the API tells of all definitions and catalogues, but for what is
// observed of them, and which models clients are offered.
func (g *managed) everything() string {
	g.t.Helper()
	var all strings.Builder
	for _, kind := range []string{"upstreams", "models", "aliases"} {
		for _, item := range g.read("/" + kind + "?page_size=1000").at("items").Array() {
			name := item.Get("name").String()
			fmt.Fprintln(&all, kind, name, item.Get("origin"), item.Get("revision"), item.Get("created"), item.Get("spec").Raw)
			if kind == "upstreams" {
				all.WriteString(g.catalogue(name))
			}
		}
	}
	all.WriteString(g.offered())
	return all.String()
}

// catalogue is the catalogue of an upstream. One that is not in use has none to show.
func (g *managed) catalogue(upstream string) string {
	g.t.Helper()
	r := g.do(http.MethodGet, at("upstreams", upstream)+"/catalogue?page_size=1000", "")
	if r.status == http.StatusConflict {
		return r.fails(http.StatusConflict, "not_in_use", "").body
	}
	return r.is(http.StatusOK).body
}

// chat sends a chat request for a model and returns the status and the body.
func (g *managed) chat(model string) (status int, body string) {
	g.t.Helper()
	resp, body := g.post(clients[0].path, clients[0].body(model))
	return resp.StatusCode, body
}

// asks sends a chat request for a model and fails the test if the status is another
// one. It returns the answer's text, or the error.
func (g *managed) asks(want int, model string) string {
	g.t.Helper()
	status, body := g.chat(model)
	if status != want {
		g.t.Fatalf("%s: status %d, want %d: %s", model, status, want, body)
	}
	if want != http.StatusOK {
		return body
	}
	return clients[0].text(g.t, body)
}

// offered lists the models that clients see, in their order.
func (g *managed) offered() string {
	g.t.Helper()
	resp, body := g.get("/v1/models")
	if resp.StatusCode != http.StatusOK {
		g.t.Fatalf("the models are listed with status %d: %s", resp.StatusCode, body)
	}
	return spaced(gjson.Get(body, "data.#.id"))
}
