package anthropic

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// serverKinds are the server tools that other formats have too. Anthropic's types
// of them end in the date of a version; sent is the one that most models take
// (Anthropic's guides on the web search, code execution and web fetch tools).
var serverKinds = []struct {
	kind               chat.ServerTool
	prefix, sent, name string
}{
	{chat.ServerWebSearch, "web_search_", "web_search_20250305", "web_search"},
	{chat.ServerCodeExecution, "code_execution_", "code_execution_20250825", "code_execution"},
	{chat.ServerURLFetch, "web_fetch_", "web_fetch_20250910", "web_fetch"},
}

// serverKind is which server tool a type of tools is.
func serverKind(kind string) chat.ServerTool {
	for _, k := range serverKinds {
		if strings.HasPrefix(kind, k.prefix) {
			return k.kind
		}
	}
	return chat.ServerOther
}

// isServer says that the provider runs a tool itself.
func isServer(t *chat.Tool) bool { return t.Type != "" || t.Server != chat.ServerOther }

// serverType is the type of a server tool in the words of the client's format, as
// far as it has any.
func serverType(t *chat.Tool) string {
	if t.Type != "" {
		return t.Type
	}
	for _, k := range serverKinds {
		if k.kind == t.Server {
			return k.name
		}
	}
	return "unknown"
}

// sendsServer says that a server tool of another format is sent: one that
// Anthropic has, that the operator enabled, and that nothing else has the name
// of. A choice that allows some tools only never names it.
func (e *requestEncoder) sendsServer(t *chat.Tool) bool {
	if !e.to.ServerTools.Has(t.Server) || e.choice.allowed != nil {
		return false
	}
	name := chat.Literal(nil)
	for _, k := range serverKinds {
		if k.kind == t.Server {
			name = chat.Quote(k.name)
		}
	}
	for i := range e.r.Tools {
		other := &e.r.Tools[i]
		switch {
		case other == t:
		case isServer(other):
			if other.Server == t.Server && before(other, t, e.r.Tools) {
				return false // One of a kind is enough.
			}
		case other.Name.Equal(name):
			return false // Names must not occur twice.
		}
	}
	return name != nil
}

// before says that a stands before b in list.
func before(a, b *chat.Tool, list []chat.Tool) bool {
	for i := range list {
		if &list[i] == a || &list[i] == b {
			return &list[i] == a
		}
	}
	return false
}

// serverTool writes a server tool: one of the format's own as it was, and of
// another's the one that does the same, without its options.
func (e *requestEncoder) serverTool(t *chat.Tool) {
	if e.own {
		e.b.Raw(t.Raw)
		return
	}
	for _, k := range serverKinds {
		if k.kind == t.Server {
			e.b.Str(`{"type":"` + k.sent + `","name":"` + k.name + `"}`)
		}
	}
	if hasOptions(t.Raw) {
		e.lost(chat.Loss{Path: "tools." + serverType(t), Reason: chat.Approximated})
	}
}

// hasOptions says that a server tool of another format says more than what it is.
// Formats write it as an object with a type or as one that is the options.
func hasOptions(raw chat.Raw) bool {
	t := tape.Take()
	defer t.Release()
	if len(raw) == 0 || t.Parse(raw) != nil {
		return false
	}
	for key, value := range t.Root().Members {
		if !key.Is("type") && value.Present() && (value.Kind() < tape.Array || value.Len() > 0) {
			return true
		}
	}
	return false
}
