package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Check holds a request against the rules of its format, as strictly as the
// vendor's own API does: unknown fields, values out of range, calls without
// results. It returns all that is wrong, nil if nothing is.
func Check(r *Request) error {
	var body map[string]any
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return fmt.Errorf("the body is no JSON object: %w", err)
	}
	c := &checker{}
	switch r.Format() {
	case Messages:
		c.check(r.Header.Get("Anthropic-Version") != "", "there is no anthropic-version header")
		checkMessages(c, body)
	case Responses:
		checkResponses(c, body)
	case Gemini:
		checkGemini(c, body)
	default:
		checkChat(c, body)
	}
	return errors.Join(c.problems...)
}

// checker collects what is wrong.
type checker struct{ problems []error }

// check notes a problem if ok is false, and returns ok.
func (c *checker) check(ok bool, text string, values ...any) bool {
	if !ok {
		c.problems = append(c.problems, fmt.Errorf(text, values...))
	}
	return ok
}

// only checks that an object has no other members than those named, in words
// separated by spaces.
func (c *checker) only(where string, v map[string]any, names string) {
	known := strings.Fields(names)
	for name := range v {
		c.check(slices.Contains(known, name), "%s: unknown field %q", where, name)
	}
}

// between checks that a number, if it is there, lies in a range.
func (c *checker) between(v map[string]any, name string, low, high float64) {
	if value, ok := v[name]; ok {
		n, isNumber := value.(float64)
		c.check(isNumber && low <= n && n <= high, "%s is %v, not in %v-%v", name, value, low, high)
	}
}

// notLonger checks that a text, if it is there, has at most so many bytes.
func (c *checker) notLonger(v map[string]any, name string, most int) {
	if value, ok := v[name]; ok {
		s, isText := value.(string)
		c.check(isText && len(s) <= most, "%s is %v, not a text of up to %d bytes", name, value, most)
	}
}

// oneOf checks that a value is one of the words, separated by spaces.
func (c *checker) oneOf(where string, value any, words string) string {
	s, _ := value.(string)
	c.check(slices.Contains(strings.Fields(words), s), "%s is %v, not one of %s", where, value, words)
	return s
}

// text checks that a value is a string that is not empty, and returns it.
func (c *checker) text(where string, value any) string {
	s, ok := value.(string)
	c.check(ok && s != "", "%s is %v, not a text", where, value)
	return s
}

// name checks the name of a tool.
func (c *checker) name(where string, value any, most int) string {
	s := c.text(where, value)
	c.check(toolName.MatchString(s) && len(s) <= most, "%s: %q is no name of a tool", where, s)
	return s
}

var toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// arguments checks that a value is the text of a JSON object.
func (c *checker) arguments(where string, value any) {
	s, _ := value.(string)
	var v map[string]any
	c.check(json.Unmarshal([]byte(s), &v) == nil, "%s: the arguments %q are no JSON object", where, s)
}

// pending are the calls that wait for their results.
type pending []string

// settle checks that id is waited for, and waits no longer.
func (p *pending) settle(c *checker, id string) {
	at := slices.Index(*p, id)
	if c.check(at >= 0, "a result of the call %q, which nobody made", id) {
		*p = slices.Delete(*p, at, at+1)
	}
}

// none checks that no call waits any more.
func (p *pending) none(c *checker) {
	c.check(len(*p) == 0, "the calls %q have no results", *p)
	*p = nil
}

// objectOf is the value as an object; nil if it is none.
func objectOf(v any) map[string]any {
	out, _ := v.(map[string]any)
	return out
}

// objectsOf are the elements of an array; those that are no objects are nil.
func objectsOf(v any) []map[string]any {
	all, _ := v.([]any)
	var out []map[string]any
	for _, element := range all {
		out = append(out, objectOf(element))
	}
	return out
}
