package admin

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// object is a JSON object that is about to be written.
type object = map[string]any

// openAPI answers GET /openapi.json.
func (a *API) openAPI(_ Gateway, w http.ResponseWriter, _ *http.Request) error {
	document, err := description(a)
	if err != nil {
		return err
	}
	a.answer(w, http.StatusOK, document)
	return nil
}

// described is the description, which is the same for all APIs of the process.
var described struct {
	once sync.Once
	text json.RawMessage
	err  error
}

func description(a *API) (json.RawMessage, error) {
	described.once.Do(func() { described.text, described.err = json.Marshal(a.describe()) })
	return described.text, described.err
}

// describe makes the description of the API (OpenAPI 3.1) out of its routes.
func (a *API) describe() object {
	types := newSchemas()
	paths := make(map[string]object)
	for _, r := range a.routes() {
		if paths[r.path] == nil {
			paths[r.path] = object{}
		}
		paths[r.path][strings.ToLower(r.method)] = r.describe(types)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Caddy AI gateway: management API", "version": "1",
			"description": "Below /ai_gateway on Caddy's admin endpoint. Changes are sent as application/json. " +
				"A definition's ETag is its revision; If-Match with an older one is answered with 412.",
		},
		"servers":    []object{{"url": base}},
		"paths":      paths,
		"components": object{"schemas": types.named},
	}
}

// describe makes the operation of a route.
func (r *route) describe(types *schemas) object {
	operation := object{
		"summary":     r.summary,
		"operationId": r.operationID(),
		"responses":   r.describeAnswers(types),
	}
	if list := r.describeParameters(); len(list) > 0 {
		operation["parameters"] = list
	}
	if r.body != nil {
		body := content("", "application/json", types.of(reflect.TypeOf(r.body)))
		delete(body, "description")
		if kind, ok := r.kind(); ok && types.hasSpec(r.body) {
			// The definition itself has one schema for each kind.
			body = object{"content": object{"application/json": object{"schema": object{"allOf": []any{
				types.of(reflect.TypeOf(r.body)),
				object{"type": "object", "properties": object{"spec": types.of(reflect.TypeOf(specs[kind]))}},
			}}}}}
		}
		if other, ok := otherBodies[r.method+" "+r.path]; ok {
			body["content"].(object)[other] = object{"schema": object{"type": "string"}}
		}
		operation["requestBody"] = body
	}
	return operation
}

// kind is the kind of definition that the path is about.
func (r *route) kind() (registry.Kind, bool) {
	first, _, _ := strings.Cut(r.path[1:], "/")
	return registry.Kind(first), specs[registry.Kind(first)] != nil
}

// operationID makes a name of method and path.
func (r *route) operationID() string {
	words := strings.FieldsFunc(r.path, func(c rune) bool { return strings.ContainsRune("/{}._", c) })
	return strings.ToLower(r.method) + "_" + strings.Join(words, "_")
}

// describeAnswers lists the statuses of the answers.
func (r *route) describeAnswers(types *schemas) object {
	done := r.describeAnswer(types)
	refused := object{"type": "object", "properties": object{"error": types.of(reflect.TypeFor[Error]())}}
	all := object{
		strconv.Itoa(r.status): done,
		"default":              content("The request was refused.", "application/json", refused),
	}
	_, defined := r.kind()
	switch {
	case r.status == http.StatusCreated && slices.Contains(r.query, "dry_run"):
		all["200"] = done // nothing was created
	case defined && r.method == http.MethodPut:
		all["201"] = done
	case defined && r.method == http.MethodGet && strings.HasSuffix(r.path, "/{name}"):
		all["304"] = object{"description": "It is still at the revision of If-None-Match."}
	}
	return all
}

func (r *route) describeAnswer(types *schemas) object {
	kind, schema := "application/json", object{"type": "string"}
	if text, ok := r.answer.(string); ok {
		kind = text
	} else {
		schema = types.of(reflect.TypeOf(r.answer))
	}
	done := content("Done.", kind, schema)
	if other, ok := otherAnswers[r.method+" "+r.path]; ok {
		done["content"].(object)[other] = object{"schema": object{"type": "string"}}
	}
	return done
}

// otherAnswers and otherBodies are content types beside JSON.
var (
	otherAnswers = map[string]string{
		"GET /export":  "text/caddyfile",
		"POST /probes": "text/event-stream",
	}
	otherBodies = map[string]string{"POST /restore": binary}
)

func content(text, kind string, schema object) object {
	return object{"description": text, "content": object{kind: object{"schema": schema}}}
}

// describeParameters lists the names in the path and in the query, and headers.
func (r *route) describeParameters() []object {
	var list []object
	for _, part := range strings.Split(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			list = append(list, object{
				"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"},
				"description": "A slash in it is escaped as %2F.",
			})
		}
	}
	for _, name := range r.query {
		list = append(list, object{"name": name, "in": "query", "schema": object{"type": "string"}, "description": parameters[name]})
	}
	for _, name := range r.headers() {
		list = append(list, object{"name": name, "in": "header", "schema": object{"type": "string"}, "description": headers[name]})
	}
	return list
}

// headers describes what the headers of a request may say.
var headers = map[string]string{
	"If-Match":      "The ETag that was read: the change is refused with 412 if it is another one by now.",
	"If-None-Match": "Of a read: the ETag that is known. Of a change: * creates only.",
	"Last-Event-ID": "The id of the last event that was seen.",
}

// headers lists the headers that the route reads.
func (r *route) headers() []string {
	kind, defined := r.kind()
	one := defined && strings.HasSuffix(r.path, "/{name}")
	source := strings.HasSuffix(r.path, "/{source}")
	circuit := strings.HasSuffix(r.path, "/circuit/open") || strings.HasSuffix(r.path, "/circuit/reset")
	switch {
	case r.path == "/events":
		return []string{"Last-Event-ID"}
	case one && r.method == http.MethodGet:
		return []string{"If-None-Match"}
	case one && r.method == http.MethodPut:
		return []string{"If-Match", "If-None-Match"}
	case r.method != http.MethodGet && (one || source || circuit), kind == registry.Models && strings.HasSuffix(r.path, "/activate"):
		return []string{"If-Match"}
	default:
		return nil
	}
}
