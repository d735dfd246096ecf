package caddytest

import (
	"fmt"
	"mime"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"
)

// apiDescription is the description of the management API.
var apiDescription = sync.OnceValue(func() gjson.Result {
	text, err := os.ReadFile("../docs/openapi.json")
	if err != nil {
		panic(err)
	}
	return gjson.ParseBytes(text)
})

// apiCalls are the operations that were called, with their statuses.
var apiCalls sync.Map

// checkDescribed holds an answer against the description of its operation: its status,
// its type, and each of its fields, of which none may be unknown.
func checkDescribed(r *apiReply, method, path string) {
	r.t.Helper()
	if r.header.Get("X-Content-Type-Options") == "" {
		return // Caddy's endpoint has refused it, before the API
	}
	template, operation := describedAt(method, path)
	if !operation.Exists() {
		if r.status != 404 && r.status != 405 && method != "OPTIONS" && method != "HEAD" {
			r.t.Errorf("%s is answered with %d and is not described", r.call, r.status)
		}
		return
	}
	answer := operation.Get(fmt.Sprintf("responses.%d", r.status))
	if !answer.Exists() {
		if r.status < 400 {
			r.t.Errorf("%s: the status %d is not described", r.call, r.status)
			return
		}
		answer = operation.Get("responses.default")
	}
	apiCalls.Store(fmt.Sprintf("%s %s", method, template), true)
	kind, _, err := mime.ParseMediaType(r.header.Get("Content-Type"))
	if err != nil {
		if r.status != 304 {
			r.t.Errorf("%s: content type %q", r.call, r.header.Get("Content-Type"))
		}
		return
	}
	var schema gjson.Result
	answer.Get("content").ForEach(func(key, value gjson.Result) bool {
		if key.String() == kind {
			schema = value.Get("schema")
		}
		return !schema.Exists()
	})
	if !schema.Exists() {
		r.t.Errorf("%s: answers of type %s are not described", r.call, kind)
		return
	}
	if kind != "application/json" {
		return
	}
	if !gjson.Valid(r.body) {
		r.t.Errorf("%s: not JSON: %.200s", r.call, r.body)
		return
	}
	for _, wrong := range violations(schema, gjson.Parse(r.body), "") {
		r.t.Errorf("%s: not as described: %s", r.call, wrong)
	}
}

// describedAt finds the operation of a path; one without parameters wins.
func describedAt(method, path string) (template string, operation gjson.Result) {
	path, _, _ = strings.Cut(path, "?")
	parts := strings.Split(path, "/")
	best := -1
	apiDescription().Get("paths").ForEach(func(key, methods gjson.Result) bool {
		pattern := strings.Split(key.String(), "/")
		op := methods.Get(strings.ToLower(method))
		if len(pattern) != len(parts) || !op.Exists() {
			return true
		}
		exact := 0
		for i := range pattern {
			name, err := url.PathUnescape(parts[i])
			switch {
			case strings.HasPrefix(pattern[i], "{"):
			case err == nil && name == pattern[i]:
				exact++
			default:
				return true
			}
		}
		if exact > best {
			best, template, operation = exact, key.String(), op
		}
		return true
	})
	return template, operation
}

// violations says where a value is not as its schema says.
func violations(schema, value gjson.Result, at string) []string {
	if ref := schema.Get("$ref").String(); ref != "" {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		schema = apiDescription().Get("components.schemas").Map()[name]
		if !schema.Exists() {
			return []string{at + ": the schema " + ref + " is missing"}
		}
	}
	if !ofType(schema.Get("type"), value) {
		return []string{fmt.Sprintf("%s must be %s, and is %.80s", at, schema.Get("type").Raw, value.Raw)}
	}
	var wrong []string
	switch {
	case value.IsObject():
		properties, others := schema.Get("properties").Map(), schema.Get("additionalProperties")
		value.ForEach(func(key, member gjson.Result) bool {
			name := at + "." + key.String()
			switch p, known := properties[key.String()]; {
			case known:
				wrong = append(wrong, violations(p, member, name)...)
			case others.IsObject():
				wrong = append(wrong, violations(others, member, name)...)
			case schema.Get("type").Exists():
				wrong = append(wrong, name+" is not described")
			}
			return true
		})
		for _, name := range schema.Get("required").Array() {
			if !value.Get(gjson.Escape(name.String())).Exists() {
				wrong = append(wrong, at+"."+name.String()+" is missing")
			}
		}
	case value.IsArray() && schema.Get("items").Exists():
		members := value.Array()
		for i, member := range members[:min(len(members), 100)] { // the others are made alike
			wrong = append(wrong, violations(schema.Get("items"), member, fmt.Sprintf("%s[%d]", at, i))...)
		}
	}
	return wrong
}

// ofType says whether a value has one of the types; none stands for any.
func ofType(types, value gjson.Result) bool {
	if !types.Exists() {
		return true
	}
	is := "null"
	switch {
	case value.IsObject():
		is = "object"
	case value.IsArray():
		is = "array"
	case value.Type == gjson.String:
		is = "string"
	case value.IsBool():
		is = "boolean"
	case value.Type == gjson.Number && !strings.ContainsAny(value.Raw, ".eE"):
		is = "integer"
	case value.Type == gjson.Number:
		is = "number"
	}
	return slices.ContainsFunc(types.Array(), func(t gjson.Result) bool {
		return t.String() == is || t.String() == "number" && is == "integer"
	})
}
