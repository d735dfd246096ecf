package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestMatrix runs every feature for every client format on every upstream format:
// the upstream checks what it is sent by the rules of its format, the client what
// it gets. The results are docs/formats.md, which -update writes.
func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	m.gateway = startGateway(t, m.config()+m.endpointConfig(), "ai_gateway {\n circuit off\n}") // cells fail on purpose
	t.Run("endpoints", m.runEndpoints)
	t.Run("cells", func(t *testing.T) {
		for _, c := range m.cells {
			t.Run(strings.Join([]string{c.feature.key, c.client().id, c.upstream().id}, "/"), func(t *testing.T) {
				t.Parallel()
				c.run(t)
			})
		}
	})
	if !t.Failed() {
		m.compareDocument(t, "../docs/formats.md")
	}
}

// matrix is a gateway with a model for each cell. The upstream's name of a model
// is that of its cell, so that one provider can play all upstreams.
type matrix struct {
	gateway   *gateway
	address   string
	cells     []*cell
	named     map[string]*cell
	endpoints endpoints
}

// newMatrix makes the cells and starts the provider.
func newMatrix(t *testing.T) *matrix {
	m := &matrix{named: map[string]*cell{}, endpoints: endpoints{service: startService(t, serveEndpoint)}}
	p := provider.New(t)
	p.Choose(m.choose)
	m.address = p.URL()
	for i := range features {
		for from := range speakers {
			for to := range speakers {
				c := &cell{m: m, feature: &features[i], from: from, to: to, name: fmt.Sprintf("%s-%d%d", features[i].key, from, to)}
				m.cells = append(m.cells, c)
				m.named[c.name] = c
			}
		}
	}
	return m
}

// config is the block of the handler. Each model has a second source, which
// answers if the first one fails.
func (m *matrix) config() string {
	var b strings.Builder
	for _, s := range speakers {
		fmt.Fprintf(&b, "upstream %s %s {\n formats %[1]s\n quirks cache_marks\n}\n", s.id, m.address)
	}
	for _, c := range m.cells {
		fmt.Fprintf(&b, "model %s {\n source %s %[1]s\n", c.name, c.upstream().id)
		if c.feature.backed {
			fmt.Fprintf(&b, " source %s %s-second priority 2\n", c.upstream().id, c.name)
		}
		b.WriteString(c.feature.options + "}\n")
	}
	return b.String()
}

// choose records a request in its cell and chooses the answer.
func (m *matrix) choose(r *provider.Request) provider.Step {
	name := gjson.GetBytes(r.Body, "model").String()
	if r.Format() == provider.Gemini {
		_, name, _ = strings.Cut(r.Path, "/models/")
		name, _, _ = strings.Cut(name, ":")
	}
	name, second := strings.CutSuffix(name, "-second")
	c, ok := m.named[name]
	if !ok {
		return provider.Fail(http.StatusNotFound, "no cell has the name "+name)
	}
	if second {
		return provider.Say("from the second")
	}
	return c.take(r)
}

// cell is one feature between one client format and one upstream format.
type cell struct {
	m        *matrix
	feature  *feature
	from, to int
	name     string

	t *testing.T
	// state is what the table shows.
	state cellState
	// losses are the codes of X-Gateway-Warning.
	losses []string

	mu       sync.Mutex
	steps    []provider.Step
	requests []*provider.Request
}

// cellState is what became of a cell.
type cellState string

const (
	statePassed  cellState = "✓"
	stateLossy   cellState = "lossy"
	stateRefused cellState = "400"
	stateNone    cellState = "–"
)

func (c *cell) client() *formatSpeaker   { return &speakers[c.from] }
func (c *cell) upstream() *formatSpeaker { return &speakers[c.to] }

// same says that nothing is translated.
func (c *cell) same() bool { return c.from == c.to }

// is says that the client's format and the upstream's are in the lists of ids,
// separated by spaces; an empty list means any.
func (c *cell) is(clients, upstreams string) bool {
	return within(clients, c.client().id) && within(upstreams, c.upstream().id)
}

func within(list, id string) bool {
	return list == "" || strings.Contains(" "+list+" ", " "+id+" ")
}

// run runs the feature.
func (c *cell) run(t *testing.T) {
	c.t = t
	if c.feature.absent != nil && c.feature.absent(c) {
		c.state = stateNone
		return
	}
	c.feature.run(c)
	switch {
	case c.state != "":
	case len(c.losses) > 0:
		c.state = stateLossy
	default:
		c.state = statePassed
	}
}

// take records a request, holds it against the rules of its format, and chooses
// the next answer; the last one repeats.
func (c *cell) take(r *provider.Request) provider.Step {
	if err := provider.Check(r); err != nil && (c.feature.unchecked == nil || !c.feature.unchecked(c)) {
		c.t.Errorf("the upstream refuses the request: %v\n%s", err, r.Body)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, r)
	step := c.steps[0]
	if len(c.steps) > 1 {
		c.steps = c.steps[1:]
	}
	return step
}

// last is the latest request that the upstream has got.
func (c *cell) last() *provider.Request {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.requests) == 0 {
		c.t.Fatal("the upstream was not asked")
	}
	return c.requests[len(c.requests)-1]
}

// seen is the latest request as the upstream understands it.
func (c *cell) seen() talk {
	c.t.Helper()
	r := c.last()
	t := c.upstream().understand(r.Body)
	if r.Format() == provider.Gemini {
		t.stream = strings.Contains(r.Path, ":streamGenerateContent?alt=sse")
	}
	return t
}

// send sends a request and returns the answer.
func (c *cell) send(t talk, steps ...provider.Step) (*http.Response, string) {
	c.t.Helper()
	c.mu.Lock()
	c.steps = steps
	c.mu.Unlock()
	t.model = c.name
	return c.post(c.client().path(t), c.client().say(t))
}

// post sends a body and returns the answer.
func (c *cell) post(path, body string) (*http.Response, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.m.gateway.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return c.do(req)
}

// do sends a request with the headers of the client's SDK and returns the whole
// answer.
func (c *cell) do(req *http.Request) (*http.Response, string) {
	c.t.Helper()
	switch c.client().id {
	case "anthropic_messages":
		req.Header.Set("Anthropic-Version", "2023-06-01")
		req.Header.Set("X-Api-Key", "client")
	case "gemini":
		req.Header.Set("X-Goog-Api-Key", "client")
	default:
		req.Header.Set("Authorization", "Bearer client")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		c.t.Fatalf("reading the answer: %v", err)
	}
	for code := range strings.SplitSeq(resp.Header.Get("X-Gateway-Warning"), ", ") {
		if code != "" {
			c.losses = append(c.losses, code)
		}
	}
	return resp, string(body)
}

// ask sends a request that succeeds and returns the answer.
func (c *cell) ask(t talk, steps ...provider.Step) reply {
	c.t.Helper()
	resp, body := c.send(t, steps...)
	if resp.StatusCode != http.StatusOK {
		c.t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if !t.stream {
		got, err := c.client().answer(body)
		if err != nil {
			c.t.Fatal(err)
		}
		return got
	}
	got, err := c.client().listen(body)
	if err != nil {
		c.t.Fatalf("%v\n%s", err, body)
	}
	if !got.ended {
		c.t.Fatalf("the stream has no end mark:\n%s", body)
	}
	if !c.seen().stream {
		c.t.Errorf("the upstream was not asked for a stream")
	}
	return got
}

// equal compares what is got with what is wanted.
func equal[T comparable](c *cell, what string, got, want T) {
	c.t.Helper()
	if got != want {
		c.t.Errorf("%s: got %v, want %v; the upstream got %s", what, got, want, c.body())
	}
}

// body is the latest request that the upstream has got, for messages.
func (c *cell) body() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.requests) == 0 {
		return "nothing"
	}
	return string(c.requests[len(c.requests)-1].Body)
}
