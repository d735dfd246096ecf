package catalogue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

func init() { caddy.RegisterModule(transport{}) }

// service stands for what an upstream leads to.
type service struct {
	mu sync.Mutex
	// takes is how long an answer takes; status and body are the answer.
	takes  time.Duration
	status int
	body   string
	// asked is when it was asked.
	asked []time.Time
	// ended is how many calls were given up.
	ended int
}

// says sets the answer of the service to a list of models.
func (s *service) says(names ...string) {
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, fmt.Sprintf("%q", name))
	}
	s.answers(http.StatusOK, `{"data":[`+strings.Join(quoted, ",")+`]}`)
}

func (s *service) answers(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

// calls is when the service was asked.
func (s *service) calls() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func (s *service) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.asked = append(s.asked, time.Now())
	takes := s.takes
	s.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-r.Context().Done():
			s.mu.Lock()
			s.ended++
			s.mu.Unlock()
			return nil, r.Context().Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &http.Response{StatusCode: s.status, Body: io.NopCloser(strings.NewReader(s.body)), Request: r}, nil
}

// services are the services of the tests that run, by their ids.
var services sync.Map

// transport is a transport without a network, which leads to a service.
type transport struct {
	Service string `json:"service"`

	*service
}

// CaddyModule returns the Caddy module information.
func (transport) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.reverse_proxy.transport.catalogue_test",
		New: func() caddy.Module { return new(transport) },
	}
}

// Provision finds the service.
func (t *transport) Provision(caddy.Context) error {
	found, ok := services.Load(t.Service)
	if !ok {
		return fmt.Errorf("there is no service %q", t.Service)
	}
	t.service = found.(*service)
	return nil
}

// newService returns a service and an upstream that leads to it. The options are JSON
// with a comma behind.
func newService(t *testing.T, name, options string) (*service, *upstream.Upstream) {
	t.Helper()
	s := &service{status: http.StatusOK, body: `[]`}
	services.Store(t.Name()+name, s)
	t.Cleanup(func() { services.Delete(t.Name() + name) })
	return s, leadingTo(t, name, options)
}

// leadingTo returns another upstream that leads to the service of that name.
func leadingTo(t *testing.T, name, options string) *upstream.Upstream {
	t.Helper()
	u := new(upstream.Upstream)
	config := fmt.Sprintf(`{%s"base_url":"http://h","formats":["openai_responses"],"transport":{"protocol":"catalogue_test","service":%q}}`, options, t.Name()+name)
	if err := caddy.StrictUnmarshalJSON([]byte(config), u); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	if err := u.Provision(ctx, name); err != nil {
		t.Fatal(err)
	}
	return u
}

// memory is a store.
type memory struct {
	mu     sync.Mutex
	kept   map[string]Catalogue
	writes int
	broken bool
}

var errBroken = errors.New("the disk is full")

func (m *memory) LoadCatalogues() ([]Catalogue, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return slices.Collect(maps.Values(m.kept)), errBroken
	}
	return slices.Collect(maps.Values(m.kept)), nil
}

func (m *memory) SaveCatalogue(c Catalogue) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	if m.kept == nil {
		m.kept = make(map[string]Catalogue)
	}
	m.kept[c.Upstream] = c
	m.writes++
	return nil
}

func (m *memory) DeleteCatalogue(upstream string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken {
		return errBroken
	}
	delete(m.kept, upstream)
	return nil
}

// breaks makes the store fail, or ends that.
func (m *memory) breaks(broken bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = broken
}
