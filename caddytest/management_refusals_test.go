package caddytest

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// TestUnknownFields shows that what a body or a query has too much is refused by its
// name, and so is what is not written as it is called, in which a secret could hide.
func TestUnknownFields(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	for _, c := range []struct{ field, method, path, body string }{
		{"bogus", "POST", "/upstreams", `{"name":"x","bogus":1}`},
		{"retries", "PATCH", "/upstreams/u", `{"retries":1}`},
		{"spec.bogus", "PATCH", "/upstreams/u", `{"spec":{"bogus":1}}`},
		{"spec.timeouts.bogus", "PATCH", "/upstreams/u", `{"spec":{"timeouts":{"bogus":"1s"}}}`},
		{"spec.retries", "PATCH", "/upstreams/u", `{"spec":{"retries":"many"}}`},
		{"spec.Retries", "PATCH", "/upstreams/u", `{"spec":{"Retries":1}}`},
		{"spec.Credentials", "PATCH", "/upstreams/u", `{"spec":{"Credentials":[{"type":"bearer","token":"sk-canary-0123456789"}]}}`},
		{"spec.credentials[0].Token", "PATCH", "/upstreams/u", `{"spec":{"credentials":[{"type":"bearer","Token":"sk-canary-0123456789"}]}}`},
		{"spec.credentials[0].to\u212aen", "PATCH", "/upstreams/u", "{\"spec\":{\"credentials\":[{\"type\":\"bearer\",\"to\u212aen\":\"sk-canary-0123456789\"}]}}"},
		{"bogus", "POST", "/upstreams/batch", `{"op":"delete","names":["u"],"bogus":1}`},
		{"", "POST", "/upstreams", `{"name":"x"`},
		{"", "POST", "/upstreams", `{"name":"x"} {}`},
		{"", "POST", "/upstreams", `[]`},
		{"name", "POST", "/upstreams", `{"name":5}`},
		{"name", "POST", "/upstreams", `{"spec":{}}`},
	} {
		got := g.refused(400, "invalid_request", c.field, c.method, c.path, c.body)
		if strings.Contains(got.body, "canary") {
			t.Errorf("the answer repeats a secret: %s", got.body)
		}
	}
	for method, path := range map[string]string{"PATCH": "/upstreams/u", "DELETE": "/upstreams/u", "POST": "/upstreams", "PUT": "/upstreams/u", "GET": "/upstreams"} {
		body := map[string]string{"PATCH": `{"spec":{"retries":0}}`, "PUT": unnamed(serviceAt("http://127.0.0.1:10")), "POST": named("x", serviceAt("http://127.0.0.1:9"))}[method]
		g.refused(400, "invalid_request", "dryrun", method, path+"?dryrun=true", body)
	}
	if strings.Contains(g.log.String(), "canary") {
		t.Error("the log repeats a secret")
	}
}

// TestManagementRefusals shows how what the management API does not take is refused: in
// JSON, whatever it is.
func TestManagementRefusals(t *testing.T) {
	g := startManaged(t, "", "")
	g.create("upstreams", "u", serviceAt("http://127.0.0.1:9"))
	for _, path := range []string{"/", "/nothing", "/upstreams/", "/upstreams/u/nothing", "/upstreams/u/", "/Upstreams", "/models/m/sources/s/x"} {
		g.refused(404, "not_found", "", "GET", path, "")
		g.refused(404, "not_found", "", "POST", path, "{}")
	}
	for path, allowed := range map[string]string{
		"/upstreams": "GET, HEAD, POST, OPTIONS", "/upstreams/u": "DELETE, GET, HEAD, PATCH, PUT, OPTIONS",
		"/upstreams/batch": "DELETE, GET, HEAD, PATCH, POST, PUT, OPTIONS", "/models/m/activate": "POST, OPTIONS",
	} {
		if got := g.refused(405, "method_not_allowed", "", "TRACE", path, ""); got.header.Get("Allow") != allowed {
			t.Errorf("%s allows %q, want %q", path, got.header.Get("Allow"), allowed)
		}
		if got := g.do("OPTIONS", path, "").is(204); got.header.Get("Allow") != allowed {
			t.Errorf("OPTIONS %s: %q", path, got.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/upstreams", "/upstreams/u"} {
		head, get := g.do("HEAD", path, "").is(200), g.read(path)
		if head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") || head.tag() != get.tag() {
			t.Errorf("HEAD %s: %q, %v", path, head.body, head.header)
		}
		if get.header.Get("Cache-Control") != "no-store" || get.header.Get("Content-Type") != "application/json" {
			t.Errorf("GET %s: %v", path, get.header)
		}
	}
	g.do("HEAD", "/upstreams/none", "").is(404)

	huge := named("big", `{"description":"`+strings.Repeat("x", 1<<20)+`"}`)
	for method, path := range map[string]string{"POST": "/models", "PUT": "/models/big", "PATCH": "/upstreams/u"} {
		g.refused(http.StatusRequestEntityTooLarge, "body_too_large", "", method, path, huge)
	}
	g.refused(413, "body_too_large", "", "POST", "/upstreams/batch", `{"op":"delete","names":["`+strings.Repeat("x", 1<<20)+`"]}`)

	writes := map[string]string{"/upstreams": "POST", "/upstreams/u": "PATCH", "/upstreams/batch": "POST", "/models/order": "POST"}
	for path, method := range writes {
		for _, kind := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonx", ""} {
			g.refused(415, "unsupported_media_type", "", method, path, "{}", "Content-Type", kind)
		}
		for _, headers := range [][]string{
			{"Origin", "http://evil.example"},
			{"Origin", "http://evil.example", "Sec-Fetch-Site", "cross-site"},
			{"Sec-Fetch-Mode", "cors"},
			{"Host", "evil.example"},
		} {
			before := g.everything()
			if got := g.do(method, path, `{}`, headers...).is(403); !gjson.Valid(got.body) || g.everything() != before {
				t.Errorf("%s %s %v: %s", method, path, headers, got.body)
			}
		}
	}
	g.do("PATCH", "/upstreams/u", `{}`, "Content-Type", "application/json; charset=utf-8").is(200)
}
