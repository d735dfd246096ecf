package handler

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// issuers remembers which upstream has issued a response, so that a request
// that continues it goes where it is known. It lives as long as the process and
// forgets the oldest. What it does not know is routed as any other request.
var issuers = issuerTable{upstreams: make(map[string]string)}

// maxIssuers is how many responses are remembered: some 2 MiB.
const maxIssuers = 16 << 10

// issuerTable maps the ids of responses to the names of upstreams. It is safe for
// concurrent use.
type issuerTable struct {
	mu        sync.Mutex
	upstreams map[string]string
	order     [maxIssuers]string // a ring of the ids, oldest at next
	next      int
}

// issued notes who has issued a response. An id of unusual length is not kept.
func (t *issuerTable) issued(id, upstream string) {
	if id == "" || len(id) > 128 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.upstreams[id]; !ok {
		delete(t.upstreams, t.order[t.next])
		t.order[t.next] = id
		t.next = (t.next + 1) % maxIssuers
	}
	t.upstreams[id] = upstream
}

// of returns the upstream that has issued a response; ok is false if it is not
// known.
func (t *issuerTable) of(id string) (upstream string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	upstream, ok = t.upstreams[id]
	return upstream, ok
}

// pin makes a request that continues a response go to the upstream that issued
// it, and nowhere else.
func (x *exchange) pin() error {
	if x.envelope.previous == "" {
		return nil
	}
	upstream, ok := issuers.of(x.envelope.previous)
	if !ok || x.plan.Pin(upstream) {
		return nil
	}
	return &chat.Error{
		Kind: chat.ErrInvalidRequest, Code: "previous_response_not_found", Param: "previous_response_id",
		Message: fmt.Sprintf("the upstream that issued %s cannot be asked now; send the whole conversation without previous_response_id", x.envelope.previous),
	}
}

// remember notes that the upstream has issued the response that the client gets.
func (a *attempt) remember(id string) { issuers.issued(id, a.name()) }

// rememberComplete notes who has issued a complete answer.
func (a *attempt) rememberComplete(root tape.Value) {
	if a.format == format.OpenAIResponses {
		a.remember(root.Get("id").Text())
	}
}

// rememberEvent notes who has issued a streamed answer: its first event tells
// the id.
func (a *attempt) rememberEvent(data []byte) {
	if a.format == format.OpenAIResponses && bytes.Contains(data, []byte(`"response.created"`)) {
		a.remember(gjson.GetBytes(data, "response.id").Str)
	}
}
