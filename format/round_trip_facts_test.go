package format_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// facts are the values of a neutral form that are not zero, by their paths.
type facts map[string]string

// factsOf collects the facts of a value.
func factsOf(v any) facts {
	out := facts{}
	out.add("", reflect.ValueOf(v))
	return out
}

// add adds the facts at a path.
func (f facts) add(path string, v reflect.Value) {
	switch {
	case v.Type() == reflect.TypeFor[chat.Arguments]():
		f.addArguments(path, v.Interface().(chat.Arguments))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		f.add(path, v.Elem())
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			f.add(path+"."+v.Type().Field(i).Name, v.Field(i))
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8:
		if text := string(v.Bytes()); text != "" && text != `""` {
			f[path] = sorted(v.Bytes())
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			f.add(fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
	case !v.IsZero():
		f[path] = fmt.Sprint(v)
	}
}

// addArguments adds the arguments of a call, which two forms write alike.
func (f facts) addArguments(path string, a chat.Arguments) {
	text := string(a.Object)
	if a.Object == nil && a.Text != nil {
		text = a.Text.String()
	}
	if text == "" {
		text = "{}"
	}
	f[path] = sorted([]byte(text))
}

// sorted writes a JSON object or array without blanks and with its members in the
// order of their names; anything else stays as it is.
func sorted(raw []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var v any
	if len(raw) == 0 || raw[0] != '{' && raw[0] != '[' || decoder.Decode(&v) != nil {
		return string(raw)
	}
	out, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(out)
}

// sameMeaning changes a request to the one of all that mean the same. What the
// client wrote is remembered beside what it means, for answers that repeat it, and
// members that nobody knows have no order.
func sameMeaning(r *chat.Request) {
	r.Echo = nil
	slices.SortFunc(r.Extra, func(a, b chat.Field) int { return strings.Compare(a.Name, b.Name) })
	joinSystem(r)
	for i := range r.Tools {
		// A function without a schema takes nothing.
		if t := &r.Tools[i]; t.Type == "" && (t.Schema == nil || sorted(t.Schema) == `{"type":"object"}`) {
			t.Schema = chat.Raw(`{"type":"object","properties":{}}`)
		}
	}
	for i := range r.Turns {
		forgetForeign(&r.Turns[i], r.Format)
		// Results have no order but that of the calls.
		slices.SortStableFunc(r.Turns[i].Blocks, func(a, b chat.Block) int {
			if a.Kind != chat.ToolResult || b.Kind != chat.ToolResult {
				return 0
			}
			return strings.Compare(string(a.ID), string(b.ID))
		})
	}
}

// joinSystem makes one text of instructions, unless they hold marks.
func joinSystem(r *chat.Request) {
	marked := func(b chat.Block) bool { return b.Cache != nil }
	if len(r.System) < 2 || slices.ContainsFunc(r.System, marked) {
		return
	}
	var texts []string
	for i := range r.System {
		texts = append(texts, r.System[i].Text.String())
	}
	r.System = []chat.Block{{Text: chat.Quote(strings.Join(texts, "\n\n"))}}
}

// forgetForeign leaves out the reasoning and the signatures of other formats'
// upstreams, which mean something to their makers only.
func forgetForeign(turn *chat.Turn, own string) {
	turn.Blocks = slices.DeleteFunc(turn.Blocks, func(b chat.Block) bool {
		return (b.Kind == chat.Thinking || b.Kind == chat.RedactedThinking) && b.Origin != own
	})
	for i := range turn.Blocks {
		if b := &turn.Blocks[i]; b.Origin != own && b.Signature != nil {
			b.Signature, b.Origin = nil, ""
		}
	}
}

// change is a fact that a round may change: that of a document, which is named by
// its folder, at the paths that fit a pattern.
type change struct{ doc, path, why string }

// rounds compares facts before and after rounds, and knows which of the allowed
// changes it has seen.
type rounds struct {
	allowed []change
	ran     map[string]bool
	seen    map[change]bool
}

// newRounds makes one that allows changes.
func newRounds(allowed []change) *rounds {
	return &rounds{allowed: allowed, ran: map[string]bool{}, seen: map[change]bool{}}
}

// compare compares the facts of a document; all but the allowed ones must be the
// same.
func (r *rounds) compare(t *testing.T, before, after facts) {
	t.Helper()
	doc := filepath.Base(t.Name())
	r.ran[doc] = true
	paths := maps.Clone(before)
	maps.Copy(paths, after)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if before[path] == after[path] {
			continue
		}
		at := slices.IndexFunc(r.allowed, func(c change) bool {
			return c.doc == doc && regexp.MustCompile("^(?:"+c.path+")$").MatchString(path)
		})
		if at < 0 {
			t.Errorf("%s: %q became %q", path, before[path], after[path])
			continue
		}
		r.seen[r.allowed[at]] = true
	}
}

// finish fails the test for changes that are allowed but have not happened.
func (r *rounds) finish(t *testing.T) {
	t.Helper()
	for _, c := range r.allowed {
		if r.ran[c.doc] && !r.seen[c] {
			t.Errorf("%s %s never changes, though: %s", c.doc, c.path, c.why)
		}
	}
}
