package demo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// useTools calls the first tool, or says what the tools that were called before
// have answered.
func useTools(r *chat.Request) answer {
	text, results := heard(r)
	if len(results) > 0 {
		return say(r, "The tool answered: "+strings.Join(results, "; "))
	}
	tools := callable(r)
	if len(tools) == 0 {
		return say(r, "This request has no tool to call.")
	}
	calls := 1
	if len(tools) > 1 && strings.Contains(text, "parallel") && r.ParallelTools != chat.False {
		calls = 2
	}
	return call(r, tools[:calls])
}

// callable are the functions that the request lets the model call.
func callable(r *chat.Request) []chat.Tool {
	var out []chat.Tool
	for _, tool := range r.Tools {
		if tool.Type == "" && allowed(r.ToolChoice, tool.Name) {
			out = append(out, tool)
		}
	}
	return out
}

// allowed says that the choice permits the tool.
func allowed(choice chat.ToolChoice, name chat.Literal) bool {
	switch choice.Mode {
	case chat.ToolNone:
		return false
	case chat.ToolNamed, chat.ToolAllowed:
		for _, permitted := range choice.Names {
			if permitted.String() == name.String() {
				return true
			}
		}
		return false
	default:
		return true
	}
}

// call is an answer that calls the tools.
func call(r *chat.Request, tools []chat.Tool) answer {
	response := &chat.Response{
		Model:   chat.Quote(r.Model),
		Created: created,
		Stop:    chat.Stop{Reason: chat.StopToolUse},
	}
	var spoken strings.Builder
	for i, tool := range tools {
		arguments := argumentsFor(tool.Schema)
		response.Blocks = append(response.Blocks, chat.Block{
			Kind: chat.ToolUse,
			// The number of turns tells the calls of one conversation apart.
			ID:        chat.Quote(fmt.Sprintf("call_demo_%d_%d", len(r.Turns), i+1)),
			Name:      tool.Name,
			Arguments: chat.Arguments{Object: arguments},
		})
		fmt.Fprintf(&spoken, "%s %s ", tool.Name.String(), arguments)
	}
	response.Usage = count(r, spoken.String())
	return answer{response: response}
}

// How deep and how long arguments get; what lies beyond is null. A schema that
// refers to itself has no end of its own.
const (
	maxDepth     = 8
	maxArguments = 64 << 10
)

// argumentsFor makes arguments that a schema describes: the required properties.
func argumentsFor(schema chat.Raw) chat.Raw {
	var index tape.Tape
	if len(schema) == 0 || index.Parse(schema) != nil {
		return chat.Raw("{}")
	}
	s := sampler{root: index.Root()}
	if arguments := s.sample(nil, s.root, 0); len(arguments) > 0 && arguments[0] == '{' {
		return arguments
	}
	return chat.Raw("{}")
}

// sampler makes values that a JSON Schema describes.
type sampler struct {
	root tape.Value
}

// sample appends a value for the schema v.
func (s sampler) sample(dst []byte, v tape.Value, depth int) []byte {
	if depth > maxDepth || len(dst) > maxArguments {
		return append(dst, "null"...)
	}
	if ref := v.Get("$ref"); ref.Exists() {
		return s.sample(dst, s.resolve(ref.Text()), depth+1)
	}
	if given, ok := given(v); ok {
		return append(dst, given.Raw()...)
	}
	for _, key := range []string{"anyOf", "oneOf", "allOf"} {
		for choice := range v.Get(key).Elements {
			if !choice.Get("type").Is("null") {
				return s.sample(dst, choice, depth+1)
			}
		}
	}
	switch typeOf(v) {
	case "object":
		return s.object(dst, v, depth)
	case "array":
		return s.array(dst, v, depth)
	case "integer", "number":
		return strconv.AppendInt(dst, number(v), 10)
	case "boolean":
		return append(dst, "true"...)
	case "null":
		return append(dst, "null"...)
	default:
		return chat.AppendQuoted(dst, text(v))
	}
}

// resolve follows a reference inside the schema.
func (s sampler) resolve(ref string) tape.Value {
	path, ok := strings.CutPrefix(ref, "#/")
	if !ok {
		return s.root
	}
	v := s.root
	for key := range strings.SplitSeq(path, "/") {
		key = strings.ReplaceAll(strings.ReplaceAll(key, "~1", "/"), "~0", "~")
		v = v.Get(key)
	}
	return v
}

// object appends an object with the required properties.
func (s sampler) object(dst []byte, v tape.Value, depth int) []byte {
	dst = append(dst, '{')
	first := true
	for name := range v.Get("required").Elements {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(chat.AppendQuoted(dst, name.Text()), ':')
		dst = s.sample(dst, v.Get("properties").Get(name.Text()), depth+1)
	}
	return append(dst, '}')
}

// array appends an array of one element.
func (s sampler) array(dst []byte, v tape.Value, depth int) []byte {
	dst = append(dst, '[')
	if items := v.Get("items"); items.Exists() {
		dst = s.sample(dst, items, depth+1)
	}
	return append(dst, ']')
}

// given is a value that the schema itself names.
func given(v tape.Value) (tape.Value, bool) {
	for _, key := range []string{"const", "default"} {
		if value := v.Get(key); value.Exists() {
			return value, true
		}
	}
	for _, key := range []string{"enum", "examples"} {
		for value := range v.Get(key).Elements {
			return value, true
		}
	}
	return tape.Value{}, false
}

// typeOf is the schema's type; of several the first that is not null.
func typeOf(v tape.Value) string {
	declared := v.Get("type")
	if declared.Kind() == tape.String {
		return declared.Text()
	}
	for name := range declared.Elements {
		if !name.Is("null") {
			return name.Text()
		}
	}
	if v.Get("properties").Exists() {
		return "object"
	}
	return ""
}

// number is 1, or the nearest number to it that the schema permits.
func number(v tape.Value) int64 {
	n := int64(1)
	if least, ok := v.Get("minimum").Int(); ok {
		n = max(n, least)
	}
	if below, ok := v.Get("exclusiveMinimum").Int(); ok {
		n = max(n, below+1)
	}
	if most, ok := v.Get("maximum").Int(); ok {
		n = min(n, most)
	}
	return n
}

// texts are values for the formats of a string.
var texts = map[string]string{
	"date":      "2026-01-01",
	"time":      "12:00:00Z",
	"date-time": "2026-01-01T12:00:00Z",
	"email":     "demo@example.com",
	"uri":       "https://example.com/",
	"uuid":      "00000000-0000-4000-8000-000000000000",
}

// text is a string that the schema permits, patterns aside.
func text(v tape.Value) string {
	out := "demo"
	if known, ok := texts[v.Get("format").Text()]; ok {
		out = known
	}
	if least, ok := v.Get("minLength").Int(); ok {
		out += strings.Repeat("-", max(0, min(int(least), 1024)-len(out)))
	}
	return out
}
