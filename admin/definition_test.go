package admin

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// TestMergePatch holds the patch against the examples of RFC 7396 and against values
// that decoding would spoil.
func TestMergePatch(t *testing.T) {
	for _, c := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`{"a":"foo"}`, `{"a":{"b":{"c":null}}}`, `{"a":{"b":{}}}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{"a":1}`, `{}`, `{"a":1}`},
		{`{"a":1}`, ``, `{"a":1}`},
	} {
		got, err := mergePatch(json.RawMessage(c.target), json.RawMessage(c.patch))
		if err != nil {
			t.Errorf("%s with %s: %v", c.target, c.patch, err)
			continue
		}
		var is, want any
		if json.Unmarshal(got, &is) != nil || json.Unmarshal([]byte(c.want), &want) != nil || !reflect.DeepEqual(is, want) {
			t.Errorf("%s with %s: got %s, want %s", c.target, c.patch, got, c.want)
		}
	}
	kept, err := mergePatch(json.RawMessage(`{"n":12345678901234567890.10,"s":"\u003c"}`), json.RawMessage(`{"x":1e2}`))
	if err != nil || string(kept) != `{"n":12345678901234567890.10,"s":"\u003c","x":1e2}` {
		t.Errorf("numbers and texts are not kept: %s, %v", kept, err)
	}
	for _, patch := range []string{`[]`, `null`, `"x"`, `{`, `1`} {
		if got, err := mergePatch(json.RawMessage(`{"a":1}`), json.RawMessage(patch)); err == nil {
			t.Errorf("the patch %s was accepted: %s", patch, got)
		}
	}
}

// TestExpectedRevision shows which revision a request asks for.
func TestExpectedRevision(t *testing.T) {
	for _, c := range []struct {
		headers []string
		want    uint64
	}{
		{nil, 0},
		{[]string{`"7"`}, 7},
		{[]string{`W/"7"`}, 7},
		{[]string{` "7" `}, 7},
		{[]string{"7"}, 7},
		{[]string{"*"}, registry.Existing},
		{[]string{`"0"`}, registry.NoRevision},
		{[]string{`"declared-1a2b"`}, registry.NoRevision},
		{[]string{`"7", "8"`}, registry.NoRevision},
		{[]string{`"7"`, `"8"`}, registry.NoRevision},
		{[]string{`"-7"`}, registry.NoRevision},
		{[]string{`"99999999999999999999"`}, registry.NoRevision},
	} {
		r := httptest.NewRequest(http.MethodPut, "/upstreams/u", nil)
		r.Header["If-Match"] = c.headers
		if got := expected(r); got != c.want {
			t.Errorf("%q: revision %d, want %d", c.headers, got, c.want)
		}
	}
}

// TestRefusalsOfChanges shows the status and the field of each refusal.
func TestRefusalsOfChanges(t *testing.T) {
	for code, want := range map[registry.Code]int{
		registry.CodeInvalid: 400, registry.CodeUnknown: 404, registry.CodeExists: 409, registry.CodeDeclared: 409,
		registry.CodeStale: 412, registry.CodeInUse: 409, registry.CodeObserve: 403, registry.CodeNoSecretKey: 409,
		registry.CodeStore: 503, registry.CodeNoSpace: 507,
	} {
		got, ok := errors.AsType[*Error](translated(&registry.Error{Code: code, Message: "why", Field: "base_url"}))
		if !ok || got.Status != want || got.Field != "spec.base_url" || got.Message != "why" || got.Code == "" {
			t.Errorf("%s: %+v", code, got)
		}
	}
	own := errors.New("the disk is on fire")
	if got := refusalOf(own); got.Status != 500 || got.Code != codeInternal || strings.Contains(got.Message, "fire") {
		t.Errorf("an error of our own: %+v", got)
	}
	if refusalOf(nil) != nil {
		t.Error("no error is a refusal")
	}
}

// TestYesOrNo shows how parameters of the query are read that are yes or no.
func TestYesOrNo(t *testing.T) {
	for query, want := range map[string]bool{"": false, "x=true": false, "dry_run": true, "dry_run=": true, "dry_run=true": true, "dry_run=1": true, "dry_run=false": false, "dry_run=0": false} {
		r := httptest.NewRequest(http.MethodPut, "/upstreams/u?"+query, nil)
		if got, err := yes(r, "dry_run"); err != nil || got != want {
			t.Errorf("%s: %v, %v", query, got, err)
		}
	}
	for _, word := range []string{"yes", "TRUE", "2"} {
		if _, err := yes(httptest.NewRequest(http.MethodPut, "/upstreams/u?dry_run="+word, nil), "dry_run"); err == nil {
			t.Errorf("%s was accepted", word)
		}
	}
}

// TestChangesAreLogged shows that the log has who has changed what, without secrets, and
// nothing of what has not changed.
func TestChangesAreLogged(t *testing.T) {
	a, logs := newAPI(newMemory(t))
	const canary = "sk-canary-0123456789"
	send := func(method, path, body string) {
		t.Helper()
		if w := call(a, method, path, body, "Content-Type", "application/json"); w.Code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	send("POST", "/upstreams", `{"name":"u","spec":{"base_url":"http://127.0.0.1:9","credentials":[{"type":"bearer","token":"`+canary+`"}]}}`)
	send("POST", "/models", `{"name":"m","spec":{"sources":[{"upstream":"u","model":"x"}]}}`)
	send("PATCH", "/models/m", `{"spec":{}}`)
	send("PATCH", "/models/m?dry_run=true", `{"spec":{"vendor":"acme"}}`)
	send("POST", "/models/batch", `{"op":"disable","names":["m"]}`)
	send("DELETE", "/upstreams/u?cascade=true", "")
	var what []string
	for _, e := range logs.FilterMessage("definition changed").All() {
		fields := e.ContextMap()
		what = append(what, fields["what"].(string)+" "+fields["name"].(string))
		if fields["actor"] != "admin" || fields["remote"] != "192.0.2.1" {
			t.Errorf("the entry has %v", fields)
		}
		if spec, _ := fields["spec"].(string); strings.Contains(spec, canary) || strings.Contains(spec, "sealed") {
			t.Errorf("the log has a secret: %s", spec)
		}
	}
	if got, want := strings.Join(what, ", "), "create u, create m, edit m, edit m, delete u"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestDeclaredSources shows that the sources of a declared model can be read, and are
// changed in the config only.
func TestDeclaredSources(t *testing.T) {
	a, _ := newAPI(newMemory(t))
	w := call(a, "GET", "/models/guide/sources", "")
	if w.Code != 200 || gjson.Get(w.Body.String(), "items.0.id").String() != "house:small" || !strings.HasPrefix(w.Header().Get("ETag"), `"declared-`) {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
	for method, body := range map[string]string{"PUT": `{"upstream":"house","model":"big"}`, "PATCH": `{"weight":2}`, "DELETE": ""} {
		w := call(a, method, "/models/guide/sources/house:small", body, "Content-Type", "application/json")
		if w.Code != http.StatusConflict || gjson.Get(w.Body.String(), "error.code").String() != "declared" {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
}
