//go:build unix

package agents

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// transcript is what a request tells a model, whatever its format.
type transcript struct {
	model string
	// tools are the schemas of the tools' arguments, by name.
	tools map[string]json.RawMessage
	// rounds are the model's earlier calls with their results, in order.
	rounds []round
	// schema says that the answer must be JSON of a schema.
	schema bool
}

// round is one of the model's answers that called tools.
type round struct {
	calls []called
}

// called is a call of a tool and what came back.
type called struct {
	id, name string
	answered bool
	result   string
}

// offer notes a tool.
func (t *transcript) offer(name string, schema json.RawMessage) error {
	if name == "" || t.tools[name] != nil {
		return fmt.Errorf("the tool %q is nameless or offered twice", name)
	}
	if schema == nil {
		schema = json.RawMessage("{}")
	}
	if t.tools == nil {
		t.tools = map[string]json.RawMessage{}
	}
	t.tools[name] = schema
	return nil
}

// call notes a call. The calls of one answer follow each other, so one behind a
// result begins a new round.
func (t *transcript) call(id, name string) {
	if last := len(t.rounds) - 1; last >= 0 && !slices.ContainsFunc(t.rounds[last].calls, func(c called) bool { return c.answered }) {
		t.rounds[last].calls = append(t.rounds[last].calls, called{id: id, name: name})
		return
	}
	t.rounds = append(t.rounds, round{[]called{{id: id, name: name}}})
}

// hear notes the result of an open call of the last round: the one with that
// identity or, where a format has none, the first with that name.
func (t *transcript) hear(id, name, result string) error {
	if len(t.rounds) == 0 {
		return fmt.Errorf("a result of %q comes before any call", id+name)
	}
	calls := t.rounds[len(t.rounds)-1].calls
	at := slices.IndexFunc(calls, func(c called) bool {
		return !c.answered && c.id == id && (name == "" || c.name == name)
	})
	if at < 0 {
		return fmt.Errorf("the result of %q belongs to no open call of %+v", id+name, calls)
	}
	calls[at].answered, calls[at].result = true, result
	return nil
}

// readers read requests into a transcript, by the format of the upstream.
var readers = map[string]func(*transcript, *provider.Request) error{
	"openai_chat":        readChat,
	"openai_responses":   readResponses,
	"anthropic_messages": readMessages,
	"gemini":             readGemini,
}

// read reads a request in the format of the upstream, and checks it as the vendor
// would.
func read(format string, r *provider.Request) (*transcript, error) {
	if got := string(r.Format()); got != format {
		return nil, fmt.Errorf("got a request of format %s, want %s", got, format)
	}
	if err := provider.Check(r); err != nil {
		return nil, fmt.Errorf("checking a request of format %s: %w", format, err)
	}
	t := new(transcript)
	if err := readers[format](t, r); err != nil {
		return nil, fmt.Errorf("reading a request of format %s: %w", format, err)
	}
	if t.model != upstreamModel {
		return nil, fmt.Errorf("the upstream is asked for the model %q", t.model)
	}
	for _, round := range t.rounds {
		for _, call := range round.calls {
			if !call.answered {
				return nil, fmt.Errorf("the call %q of %s has no result", call.id, call.name)
			}
		}
	}
	return t, nil
}

// text is the text of content: a string, or a list of parts.
func text(content json.RawMessage) (string, error) {
	var out string
	if json.Unmarshal(content, &out) == nil {
		return out, nil
	}
	var parts []struct{ Text string }
	if err := json.Unmarshal(content, &parts); err != nil {
		return "", fmt.Errorf("content is neither a text nor a list: %s", content)
	}
	for _, part := range parts {
		out += part.Text
	}
	return out, nil
}
