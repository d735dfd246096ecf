package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/tidwall/gjson"

	_ "github.com/caddy-ai-gateway/caddy-ai-gateway/format/openai" // the format of the service
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry/registrytest"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// memory is a gateway whose definitions are real, and kept in memory: the upstream
// house and the model guide are declared, everything else is managed.
type memory struct {
	*stubGateway
	state    *routing.State
	registry *registry.Registry
	syncer   *catalogue.Syncer
	events   *Events
	store    registrytest.Store
	// backup is what can be downloaded, restored what was uploaded last.
	backup, restored []byte
}

// newMemory makes the gateway. house is a service that works.
func newMemory(t *testing.T) *memory {
	t.Helper()
	service := newService(t)
	house := fmt.Sprintf(`{"base_url":%q,"formats":["openai_chat"]}`, service.URL+"/v1")
	guide := `{"sources":[{"upstream":"house","model":"small"}]}`
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	u, m := new(upstream.Upstream), new(routing.Model)
	for raw, into := range map[string]any{house: u, guide: m} {
		if err := routing.DecodeConfig([]byte(raw), into); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Provision(ctx, "house"); err != nil {
		t.Fatal(err)
	}
	g := &memory{stubGateway: newStub(), state: routing.NewState(), events: new(Events)}
	g.syncer = catalogue.New(noCatalogues{})
	managed, err := registry.NewManaged(&g.store, func(changed []registry.Event) {
		for _, e := range changed {
			g.events.Tell(EventDefinition, DefinitionEvent{Kind: e.Kind.One(), Name: e.Name, What: string(e.What), Revision: e.Revision, Actor: e.Actor})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]*upstream.Observed)
	g.registry, err = registry.New(registry.Options{
		Context: ctx, Managed: managed, State: g.state,
		Declared: registry.Declared{
			Definitions: routing.Definitions{Upstreams: map[string]*upstream.Upstream{"house": u}, Models: map[string]*routing.Model{"guide": m}},
			Specs: map[registry.ID]json.RawMessage{
				{Kind: registry.Upstreams, Name: "house"}: json.RawMessage(house),
				{Kind: registry.Models, Name: "guide"}:    json.RawMessage(guide),
			},
		},
		Observed: func(name string) *upstream.Observed {
			if seen[name] == nil {
				seen[name] = new(upstream.Observed)
			}
			return seen[name]
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.registry.Close)
	return g
}

func (g *memory) View() (*registry.View, error) { return g.registry.View(), nil }

func (g *memory) Change(ops []registry.Op, o registry.ChangeOptions) (registry.Outcome, error) {
	return g.registry.Change(ops, o)
}

func (g *memory) Unsaved(name string, spec json.RawMessage) (*upstream.Upstream, func(), error) {
	return g.registry.Unsaved(name, spec)
}

func (g *memory) Catalogues() *catalogue.Syncer { return g.syncer }
func (g *memory) Events() *Events               { return g.events }

func (g *memory) Circuits(string) ([]routing.CircuitView, error) {
	return g.state.Circuits.All(time.Now()), nil
}

func (g *memory) Status() Status {
	status := Status{Version: "v0.1.0", Time: noon, Started: noon.Add(-time.Hour), Configured: noon, Store: StoreStatus{State: StoreOK}}
	status.Upstreams, status.Models = Survey(g.registry.View().Snapshot, g.state.Circuits.All(time.Now()))
	return status
}

// Export has a stand-in for each secret, as the app writes them.
func (g *memory) Export() (Export, error) {
	all := make(map[registry.Kind]map[string]json.RawMessage)
	for _, kind := range registry.Kinds {
		all[kind] = make(map[string]json.RawMessage)
		for _, d := range g.registry.View().List(kind) {
			if d.Origin == registry.Management {
				masked, _, _ := strings.Cut(string(d.Spec()), `{"set":true`)
				spec := d.Spec()
				if rest, ok := strings.CutPrefix(string(spec), masked+`{"set":true`); ok {
					_, rest, _ = strings.Cut(rest, "}")
					spec = json.RawMessage(masked + `"{env.AI_GATEWAY_` + strings.ToUpper(d.Name) + `}"` + rest)
				}
				all[kind][d.Name] = spec
			}
		}
	}
	text, err := json.Marshal(all)
	return Export{JSON: text, Caddyfile: "{\n\tai_gateway\n}\n"}, err
}

func (g *memory) Backup() (Backup, error) {
	return Backup{Name: "monday", Time: noon, Bytes: int64(len(g.backup)), Records: 3}, nil
}

func (g *memory) OpenBackup(string) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(g.backup)), nil
}

func (g *memory) Restore(backup io.Reader) error {
	text, err := io.ReadAll(backup)
	g.restored = text
	return err
}

// secretOf is a stored secret of the first credential of an upstream.
func (g *memory) secretOf(t *testing.T, name, field string) string {
	t.Helper()
	id := registry.ID{Kind: registry.Upstreams, Name: name}
	credential := gjson.GetBytes(g.store.Record(id).Spec, "credentials.0")
	plain, err := g.store.Unseal(id.String(), credential.Get("id").String()+"/"+field, credential.Get(field+".sealed").String())
	if err != nil {
		t.Fatalf("the %s of upstream %q: %v", field, name, err)
	}
	return string(plain)
}

// noCatalogues stores none: they are in memory only.
type noCatalogues struct{}

func (noCatalogues) LoadCatalogues() ([]catalogue.Catalogue, error) { return nil, nil }
func (noCatalogues) SaveCatalogue(catalogue.Catalogue) error        { return nil }
func (noCatalogues) DeleteCatalogue(string) error                   { return nil }

// newService is a provider with the models small and large. It answers chats, and
// refuses the key "wrong".
func newService(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.Header.Get("Authorization"), "wrong") {
			http.Error(w, `{"error":{"message":"no such key"}}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"object":"list","data":[{"id":"small","object":"model"},{"id":"large","object":"model"}]}`)
	})
	mux.HandleFunc("POST /v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Model    string        `json:"model"`
			Messages []chatMessage `json:"messages"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if body.Model == "missing" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, `{"error":{"message":"there is no model \"missing\"","code":"model_not_found"}}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		last := body.Messages[len(body.Messages)-1].Content
		for _, piece := range []string{"You said: ", last, fmt.Sprintf(" (%d)", len(body.Messages))} {
			fmt.Fprintf(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":%q}}]}\n\n", piece)
		}
		if last != "break off" {
			io.WriteString(w, "data: {\"id\":\"1\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}
