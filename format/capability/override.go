package capability

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Key is a fact that an operator can set for a model.
type Key struct {
	// Name is the key in configurations, such as "max_output".
	Name string
	// Values says what it takes, in words for documentation and errors, such as
	// "true or false".
	Values string

	set func(m *Model, value string) bool
}

// keys are the facts that can be set, by name. What a key's parser refuses is an
// error that tells Values.
var keys = []Key{
	choiceKey("thinking", func(m *Model) *Thinking { return &m.Thinking },
		words[Thinking]{{"manual", ThinkingManual}, {"both", ThinkingBoth}, {"adaptive", ThinkingAdaptive}, {"none", ThinkingNone}, {"unknown", ThinkingUnknown}}),
	choiceKey("thinking_off", func(m *Model) *ThinkingOff { return &m.ThinkingOff },
		words[ThinkingOff]{{"accepted", OffAccepted}, {"up_to_high", OffUpToHigh}, {"between_tools", OffBetweenTools}, {"refused", OffRefused}}),
	flagKey("thinks_by_default", func(m *Model) *bool { return &m.ThinksByDefault }),
	{"efforts", "a list of " + join(effortNames()) + ", or unknown", setEfforts},
	flagKey("reasons", func(m *Model) *bool { return &m.Reasons }),
	choiceKey("sampling", func(m *Model) *Sampling { return &m.Sampling },
		words[Sampling]{{"ok", SamplingFree}, {"none", SamplingNone}, {"no_both", SamplingNotBoth}, {"effort_none", SamplingEffortNone}}),
	notKey("penalties", func(m *Model) *bool { return &m.NoPenalties }),
	flagKey("mid_system", func(m *Model) *bool { return &m.MidSystem }),
	notKey("prefill", func(m *Model) *bool { return &m.NoPrefill }),
	choiceKey("forced_tool", func(m *Model) *ForcedTool { return &m.ForcedTool },
		words[ForcedTool]{{"ok", ForcedFree}, {"not_thinking", ForcedNotThinking}, {"refused", ForcedRefused}}),
	notKey("structured_output", func(m *Model) *bool { return &m.NoStructuredOutput }),
	tokensKey("max_output", func(m *Model) *int { return &m.MaxOutput }),
	tokensKey("context_window", func(m *Model) *int { return &m.ContextWindow }),
	flagKey("developer_role", func(m *Model) *bool { return &m.DeveloperRole }),
	choiceKey("chat_tools", func(m *Model) *ChatTools { return &m.ChatTools },
		words[ChatTools]{{"ok", ChatToolsFree}, {"effort", ChatToolsEffort}, {"effort_none", ChatToolsEffortNone}, {"refused", ChatToolsRefused}}),
	flagKey("cache_marks", func(m *Model) *bool { return &m.CacheMarks }),
	choiceKey("thinking_config", func(m *Model) *bool { return &m.ThinkingLevel }, words[bool]{{"level", true}, {"budget", false}}),
	{"thinking_budget", "the least and the largest number of tokens, such as 128 32768, or unknown", setBudget},
	notKey("thinking_budget_zero", func(m *Model) *bool { return &m.NoBudgetZero }),
	flagKey("result_parts", func(m *Model) *bool { return &m.ResultParts }),
	flagKey("call_signatures", func(m *Model) *bool { return &m.CallSignatures }),
}

// Keys lists the facts that an operator can set, in the order of their
// documentation.
func Keys() []Key { return slices.Clone(keys) }

// Set overrides a fact: the key is one of [Keys], the value one of those that it
// takes. After an error the model is as it was.
func (m *Model) Set(key, value string) error {
	i := slices.IndexFunc(keys, func(k Key) bool { return k.Name == key })
	if i < 0 {
		names := make([]string, len(keys))
		for i := range keys {
			names[i] = keys[i].Name
		}
		return fmt.Errorf("unknown capability %q: known are %s", key, join(names))
	}
	if !keys[i].set(m, strings.TrimSpace(value)) {
		return fmt.Errorf("capability %s is %q: it must be %s", key, value, keys[i].Values)
	}
	return nil
}

// words are the values of a fact and their names.
type words[T any] []struct {
	name  string
	value T
}

// choiceKey is a fact with a value out of a list.
func choiceKey[T any](name string, at func(*Model) *T, values words[T]) Key {
	names := make([]string, len(values))
	for i := range values {
		names[i] = values[i].name
	}
	return Key{name, join(names), func(m *Model, value string) bool {
		i := slices.Index(names, value)
		if i >= 0 {
			*at(m) = values[i].value
		}
		return i >= 0
	}}
}

// flagKey is a fact that holds or does not.
func flagKey(name string, at func(*Model) *bool) Key {
	return choiceKey(name, at, words[bool]{{"true", true}, {"false", false}})
}

// notKey is a fact that the model keeps the opposite of.
func notKey(name string, at func(*Model) *bool) Key {
	return choiceKey(name, at, words[bool]{{"true", false}, {"false", true}})
}

// tokensKey is a fact that is a number of tokens.
func tokensKey(name string, at func(*Model) *int) Key {
	return Key{name, "a number of tokens, 0 if not known", func(m *Model, value string) bool {
		n, ok := tokens(value)
		if ok {
			*at(m) = n
		}
		return ok
	}}
}

// unknown is the value of a fact that nothing is known of.
const unknown = "unknown"

// setEfforts reads a list of efforts, with spaces or commas between them.
func setEfforts(m *Model, value string) bool {
	var set Efforts
	list := strings.FieldsFunc(value, func(r rune) bool { return r == ' ' || r == ',' || r == '\t' })
	if len(list) == 1 && list[0] == unknown {
		m.Efforts = 0
		return true
	}
	for _, name := range list {
		e, ok := EffortNamed(name)
		if !ok {
			return false
		}
		set |= e
	}
	if set != 0 {
		m.Efforts = set
	}
	return set != 0
}

// setBudget reads the bounds of a thinking budget.
func setBudget(m *Model, value string) bool {
	if value == unknown {
		m.BudgetMin, m.BudgetMax = 0, 0
		return true
	}
	bounds := strings.Fields(value)
	if len(bounds) != 2 {
		return false
	}
	least, ok := tokens(bounds[0])
	most, ok2 := tokens(bounds[1])
	if !ok || !ok2 || least > most || most == 0 {
		return false
	}
	m.BudgetMin, m.BudgetMax = least, most
	return true
}

// tokens reads a number of tokens.
func tokens(value string) (n int, ok bool) {
	n, err := strconv.Atoi(value)
	return n, err == nil && n >= 0 && n <= math.MaxInt32
}

// join writes a list of alternatives.
func join(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0]
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
