package caddytest

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"
)

// managed is a gateway with the management API on Caddy's admin endpoint.
type managed struct {
	*gateway
}

// startManaged runs Caddy as startGateway does, with its admin endpoint.
func startManaged(t *testing.T, block string, global ...string) *managed {
	t.Helper()
	g := &gateway{t: t, url: "http://" + freeAddress(t), data: t.TempDir(), admin: freeAddress(t), log: currentLog}
	g.log.reset()
	g.load(block, global...)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stopping Caddy: %v", err)
		}
	})
	return &managed{g}
}

// load loads a config. The connections of clients end with the config before.
func (m *managed) load(block string, global ...string) {
	m.t.Helper()
	m.gateway.load(block, global...)
	http.DefaultClient.CloseIdleConnections()
}

// restart ends Caddy and starts it again with a config, on the same data.
func (m *managed) restart(block string, global ...string) {
	m.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	if err := caddy.Stop(); err != nil {
		m.t.Fatal(err)
	}
	m.load(block, global...)
}

// oneOff makes a connection for each request: a reload closes those of the admin
// endpoint.
var oneOff = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// managedReply is an answer of the management API.
type managedReply struct {
	status int
	header http.Header
	body   string
}

// at is the value at a path of the answer.
func (r managedReply) at(path string) gjson.Result { return gjson.Get(r.body, path) }

// tag is the entity tag.
func (r managedReply) tag() string { return r.header.Get("ETag") }

// request makes a request to the management API. A body is JSON.
func (m *managed) request(ctx context.Context, method, path, body string, headers ...string) (managedReply, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+m.admin+"/ai_gateway"+path, strings.NewReader(body))
	if err != nil {
		return managedReply{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := oneOff.Do(req)
	if err != nil {
		return managedReply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return managedReply{resp.StatusCode, resp.Header, string(data)}, err
}

// call asks the management API and fails the test if the status is another one.
func (m *managed) call(want int, method, path, body string, headers ...string) managedReply {
	m.t.Helper()
	got, err := m.request(m.t.Context(), method, path, body, headers...)
	if err != nil {
		m.t.Fatal(err)
	}
	if got.status != want {
		m.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got.status, want, got.body)
	}
	return got
}

// read gets a resource.
func (m *managed) read(path string) managedReply {
	m.t.Helper()
	return m.call(200, http.MethodGet, path, "")
}

// create makes a definition: of upstreams, models or aliases.
func (m *managed) create(kind, name, spec string) managedReply {
	m.t.Helper()
	return m.call(201, http.MethodPost, "/"+kind, named(name, spec))
}

// named is the body that creates a definition.
func named(name, spec string) string { return fmt.Sprintf(`{"name":%q,"spec":%s}`, name, spec) }

// patch changes the definition at a path.
func (m *managed) patch(path, spec string, headers ...string) managedReply {
	m.t.Helper()
	return m.call(200, http.MethodPatch, path, `{"spec":`+spec+`}`, headers...)
}

// refused makes a request that must be refused with a status, a code and a field, and
// change nothing of what the paths show.
func (m *managed) refused(status int, code, field, method, path, body string, headers ...string) managedReply {
	m.t.Helper()
	before := m.everything()
	got := m.call(status, method, path, body, headers...)
	if got.at("error.code").String() != code || got.at("error.field").String() != field || got.at("error.message").String() == "" {
		m.t.Errorf("%s %s %.200s: want the code %s and the field %q: %s", method, path, body, code, field, got.body)
	}
	if after := m.everything(); after != before {
		m.t.Errorf("%s %s was refused and has changed something:\n%s\n%s", method, path, before, after)
	}
	return got
}

// everything is all definitions as they read, without what is observed of them.
func (m *managed) everything() string {
	m.t.Helper()
	var all strings.Builder
	for _, kind := range []string{"upstreams", "models", "aliases"} {
		m.read("/" + kind + "?page_size=1000").at("items").ForEach(func(_, item gjson.Result) bool {
			fmt.Fprintln(&all, kind, item.Get("name"), item.Get("origin"), item.Get("revision"), item.Get("spec"))
			return true
		})
	}
	return all.String()
}

// names lists the names of a list, in its order.
func (r managedReply) names() string {
	var all []string
	for _, name := range r.at("items.#.name").Array() {
		all = append(all, name.String())
	}
	return strings.Join(all, " ")
}

// at is the path of a definition.
func at(kind, name string) string {
	escaped := url.PathEscape(name)
	if strings.Trim(name, ".") == "" {
		escaped = strings.ReplaceAll(name, ".", "%2E")
	}
	return "/" + kind + "/" + escaped
}

// asks sends a chat request for a model and fails the test if the status is another
// one. It returns the answer's text, or the error.
func (m *managed) asks(want int, model string) string {
	m.t.Helper()
	c := clients[0]
	resp, body := m.post(c.path, c.body(model))
	if resp.StatusCode != want {
		m.t.Fatalf("%s: status %d, want %d: %s", model, resp.StatusCode, want, body)
	}
	if want != 200 {
		return body
	}
	return c.text(m.t, body)
}

// offered lists the models that clients see, in their order.
func (m *managed) offered() string {
	m.t.Helper()
	_, body := m.get("/v1/models")
	var all []string
	for _, id := range gjson.Get(body, "data.#.id").Array() {
		all = append(all, id.String())
	}
	return strings.Join(all, " ")
}

// serviceAt is the definition of an upstream at an address.
func serviceAt(address string) string { return fmt.Sprintf(`{"base_url":%q}`, address) }

// from is the definition of a model with a source at each upstream, all for the
// upstream model x.
func from(upstreams ...string) string {
	sources := make([]string, len(upstreams))
	for i, name := range upstreams {
		sources[i] = fmt.Sprintf(`{"upstream":%q,"model":"x"}`, name)
	}
	return `{"sources":[` + strings.Join(sources, ",") + `]}`
}
