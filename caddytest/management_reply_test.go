package caddytest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// apiReply is an answer of the management API.
type apiReply struct {
	t      *testing.T
	call   string // method and path
	status int
	header http.Header
	body   string
}

// at is the value at a path of the answer.
func (r *apiReply) at(path string) gjson.Result { return gjson.Get(r.body, path) }

// tag is the entity tag.
func (r *apiReply) tag() string { return r.header.Get("ETag") }

// names lists the names of a list, in its order.
func (r *apiReply) names() string { return spaced(r.at("items.#.name")) }

// is demands a status.
func (r *apiReply) is(status int) *apiReply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("%s: status %d, want %d: %.800s", r.call, r.status, status, r.body)
	}
	return r
}

// fails demands an error with a status, a code and a field. See managed.refused for one
// that must change nothing.
func (r *apiReply) fails(status int, code, field string) *apiReply {
	r.t.Helper()
	r.is(status)
	if r.at("error.code").String() != code || r.at("error.field").String() != field || r.at("error.message").String() == "" {
		r.t.Errorf("%s: want the code %q, the field %q and a message: %.800s", r.call, code, field, r.body)
	}
	return r
}

// has demands values of the body: paths and their JSON.
func (r *apiReply) has(pairs ...string) *apiReply {
	r.t.Helper()
	for i := 0; i+1 < len(pairs); i += 2 {
		if got := r.at(pairs[i]).Raw; got != pairs[i+1] {
			r.t.Errorf("%s: %s is %s, want %s: %.800s", r.call, pairs[i], got, pairs[i+1], r.body)
		}
	}
	return r
}

// spaced are the members of a list of strings.
func spaced(list gjson.Result) string {
	var all []string
	for _, name := range list.Array() {
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

// named is the body that creates a definition.
func named(name, spec string) string { return fmt.Sprintf(`{"name":%q,"spec":%s}`, name, spec) }

// unnamed is the body that changes or replaces the definition at a path.
func unnamed(spec string) string { return `{"spec":` + spec + `}` }

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
