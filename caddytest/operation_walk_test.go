package caddytest

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestEveryOperationIsAsDescribed calls every operation of the description once, with
// success, and holds each answer against its schema.
func TestEveryOperationIsAsDescribed(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	g := startManaged(t, "secret_key "+keyOne, "upstream d "+p.URL()+"\nmodel declared {\nsource d x\n}")
	apiCalls.Clear()
	g.furnish(p)
	for _, call := range []string{
		"GET /status 200", "GET /openapi.json 200", "GET /circuits 200", "GET /export 200", "GET /events?follow=false 200",
		`POST /explain 200 {"model":"m1"}`, `POST /probes 200 {}`, `POST /upstreams/test 200 {"name":"u"}`, `POST /models/m1/probe 200 {"all":true,"debug":true}`,
		"GET /upstreams 200", "GET /upstreams/u 200", "GET /upstreams/u/sources 200", "GET /upstreams/u/circuits 200", "GET /upstreams/u/circuit 200",
		`POST /upstreams/u/circuit/open 200 {"reason":"x","for":"1h"}`, `POST /upstreams/u/circuit/reset 200 {}`,
		"GET /upstreams/u/catalogue 200", "POST /upstreams/u/catalogue/preview 200 {}", "DELETE /upstreams/u/catalogue/models/hand 200",
		`POST /upstreams/u/catalogue/import 200 {"models":["b"]}`,
		"GET /models 200", "GET /models/m1 200", "GET /models/declared 200", `PATCH /models/m1 200 {"spec":{"order":3}}`, `PUT /models/m9 201 {"spec":{"sources":[{"upstream":"u","model":"b"}]}}`,
		"GET /models/m1/sources 200", `POST /models/m1/sources 201 {"upstream":"d","model":"x"}`, "GET /models/m1/sources/d:x 200",
		`PUT /models/m1/sources/d:x 200 {"upstream":"d","model":"x","weight":2}`, `PATCH /models/m1/sources/d:x 200 {"weight":3}`,
		`POST /models/m1/activate 200 {"source":"d:x"}`, `POST /models/m1/activate 200 {"source":""}`, "DELETE /models/m1/sources/d:x 200",
		`POST /models/batch 200 {"op":"disable","names":["m9","none"]}`, "DELETE /models/m9?dry_run=true 200",
		"GET /aliases 200", "GET /aliases/fast 200", `PATCH /aliases/fast 200 {"spec":{"model":"m2"}}`, `PUT /aliases/fast 200 {"spec":{"model":"m1"}}`,
		`POST /aliases/batch 200 {"op":"enable","names":["fast"]}`, "DELETE /aliases/fast 200",
		`PATCH /upstreams/u 200 {"spec":{"tags":["x"]}}`, `PUT /upstreams/d2 201 {"spec":{"base_url":"http://127.0.0.1:9"}}`, `POST /upstreams/batch 200 {"op":"delete","names":["d2","d"]}`,
		`POST /import 200 {"aliases":{"slow":{"model":"m2"}}}`,
		"POST /backups 201 {}", "GET /backups 200",
	} {
		words := strings.SplitN(call, " ", 4)
		body := ""
		if len(words) == 4 {
			body = words[3]
		}
		r := g.do(words[0], words[1], body)
		if got := gjson.Parse(words[2]).Int(); int64(r.status) != got {
			t.Errorf("%s: got %d, want %d: %s", call, r.status, got, r.body)
		}
	}
	name := g.read("/backups").at("items.0.name").String()
	g.read("/backups/" + name)
	g.do("POST", "/restore", `{"name":"`+name+`"}`).is(200)
	g.do("DELETE", "/upstreams/u?cascade=true", "").is(200)
	apiDescription().Get("paths").ForEach(func(path, methods gjson.Result) bool {
		for method := range methods.Map() {
			if _, called := apiCalls.Load(strings.ToUpper(method) + " " + path.String()); !called {
				t.Errorf("%s %s was not called", strings.ToUpper(method), path)
			}
		}
		return true
	})
}
