//go:build unix

package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// step is one answer of the scripted model that calls tools.
type step struct {
	calls []call
}

// call is a call of a tool.
type call struct {
	tool      string
	arguments map[string]any
	// hears is what the result must hold for the model to go on.
	hears string
}

// model plays a model for an agent: it takes its steps one by one and goes on when
// the results are what they should be. It keeps no state between requests but what
// it reports. It is safe for concurrent use.
type model struct {
	format string
	steps  []step
	final  string

	mu     sync.Mutex
	asked  int     // questions of the agent itself
	side   int     // other questions: titles, counts, probes
	heard  int     // the most rounds of results in one request
	faults []error // why it did not go on
}

// startModel starts an upstream of a format that plays a model.
func startModel(t *testing.T, format, final string, steps []step) (*model, string) {
	t.Helper()
	m := &model{format: format, steps: steps, final: final}
	p := provider.New(t)
	p.Choose(m.answer)
	return m, p.URL()
}

// answer chooses the next answer.
func (m *model) answer(r *provider.Request) provider.Step {
	heard, err := read(m.format, r)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err = errors.Join(err, checkSecrets(r)); err != nil {
		return m.stop(err)
	}
	if len(heard.tools) == 0 && len(heard.rounds) == 0 {
		m.side++
		return sideAnswer(heard)
	}
	m.asked++
	m.heard = max(m.heard, len(heard.rounds))
	if len(heard.rounds) > len(m.steps) {
		return m.stop(fmt.Errorf("%d rounds of results, but the script has %d steps", len(heard.rounds), len(m.steps)))
	}
	for i, round := range heard.rounds {
		if err := m.steps[i].check(round); err != nil {
			return m.stop(fmt.Errorf("step %d: %w", i+1, err))
		}
	}
	if len(heard.rounds) == len(m.steps) {
		return provider.Say(m.final)
	}
	next, err := m.steps[len(heard.rounds)].answer(len(heard.rounds)+1, heard.tools)
	if err != nil {
		return m.stop(fmt.Errorf("step %d: %w", len(heard.rounds)+1, err))
	}
	return next
}

// checkSecrets checks that nothing the agent sent as its key has come through.
func checkSecrets(r *provider.Request) error {
	for name, values := range r.Header {
		if strings.Contains(strings.Join(values, " "), secret) {
			return fmt.Errorf("the agent's key was sent to the upstream as %s", name)
		}
	}
	if strings.Contains(r.Path, secret) {
		return errors.New("the agent's key was sent to the upstream in the query")
	}
	return nil
}

// stop notes a fault and ends the agent's work. The caller holds mu.
func (m *model) stop(err error) provider.Step {
	m.faults = append(m.faults, err)
	return provider.Say("Something is wrong: " + err.Error())
}

// sideAnswer answers what an agent asks beside its work, such as a title.
func sideAnswer(heard *transcript) provider.Step {
	if heard.schema {
		return provider.Say(`{"title":"Correct a greeting"}`)
	}
	return provider.Say("Correct a greeting")
}

// check checks the results of the calls of a step.
func (s step) check(r round) error {
	if len(r.calls) != len(s.calls) {
		return fmt.Errorf("got %d calls back, want %d", len(r.calls), len(s.calls))
	}
	for i, want := range s.calls {
		if got := r.calls[i]; got.name != want.tool || !strings.Contains(got.result, want.hears) {
			return fmt.Errorf("got %q from %s, want %q from %s", got.result, got.name, want.hears, want.tool)
		}
	}
	return nil
}

// answer calls the tools of a step; n is its number. The agent must offer the
// tools, with the arguments.
func (s step) answer(n int, tools map[string]json.RawMessage) (provider.Step, error) {
	var out provider.Step
	for i, call := range s.calls {
		schema, ok := tools[call.tool]
		if !ok {
			return out, fmt.Errorf("there is no tool %q among %q", call.tool, slices.Sorted(maps.Keys(tools)))
		}
		if err := checkArguments(schema, call.arguments); err != nil {
			return out, fmt.Errorf("tool %q: %w", call.tool, err)
		}
		arguments, err := json.Marshal(call.arguments)
		if err != nil {
			return out, err
		}
		out = out.AndCall(fmt.Sprintf("call_%d_%d", n, i), call.tool, string(arguments))
	}
	return out, nil
}

// checkArguments checks that the schema of a tool has survived so far that it
// still tells how to make the call.
func checkArguments(schema json.RawMessage, arguments map[string]any) error {
	var in struct {
		Properties map[string]json.RawMessage
		Required   []string
	}
	if err := json.Unmarshal(schema, &in); err != nil {
		return fmt.Errorf("reading the schema %s: %w", schema, err)
	}
	for name := range arguments {
		if in.Properties[name] == nil {
			return fmt.Errorf("there is no argument %q in %s", name, schema)
		}
	}
	for _, name := range in.Required {
		if arguments[name] == nil {
			return fmt.Errorf("the argument %q is required in %s", name, schema)
		}
	}
	return nil
}

// total is the number of requests so far.
func (m *model) total() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked + m.side
}

// checkPlayed checks that the model has played its script to the end.
func (m *model) checkPlayed(t *testing.T) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, err := range m.faults {
		t.Error(err)
	}
	if m.heard != len(m.steps) || m.asked < len(m.steps)+1 {
		t.Errorf("the model was asked %d times and heard %d rounds of results, want %d", m.asked, m.heard, len(m.steps))
	}
}
