package caddytest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// canary is a secret that must not be found anywhere.
const canary = "sk-canary-4f1d7b02c9e8-tail"

// findCanary looks for the canary in all files below a directory, and returns how many
// files there are.
func findCanary(t *testing.T, dir string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		if bytes.Contains(text, []byte(canary)) || bytes.Contains(text, []byte("4f1d7b02c9e8")) {
			t.Errorf("%s holds the secret", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// sent is the Authorization header that a chat with a model brings to a provider.
func (g *managed) sent(p *provider.Provider, model string) string {
	g.t.Helper()
	if status, body := g.chat(model); status != 200 {
		g.t.Fatalf("asking for %s: %d %s", model, status, body)
	}
	return last(g.t, p).Header.Get("Authorization")
}

// keyedBy is the definition of an upstream with one key.
func keyedBy(p *provider.Provider, token string) string {
	return fmt.Sprintf(`{"base_url":%q,"credentials":[{"type":"bearer","token":%q}]}`, p.URL(), token)
}

// TestSecretsStayInside: a managed secret is used, and is nowhere else: in no answer,
// no event, no log line and no file.
func TestSecretsStayInside(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "")
	var answers strings.Builder
	keep := func(r *apiReply) *apiReply {
		answers.WriteString(r.body)
		return r
	}
	keep(g.create("upstreams", "u", keyedBy(p, canary))).has("spec.credentials.0.token.set", "true", "spec.credentials.0.token.hint", `"…tail"`)
	keep(g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`))
	if got := g.sent(p, "m"); got != "Bearer "+canary {
		t.Fatalf("the upstream was sent %q", got)
	}
	p.Script(provider.Fail(401, "bad key "+canary))
	g.chat("m")
	keep(g.do("POST", "/models/m/probe", `{"debug":true}`))
	keep(g.do("POST", "/upstreams/test", `{"name":"u"}`))
	keep(g.do("POST", "/upstreams/u/catalogue/preview", ""))
	keep(g.do("POST", "/upstreams/u/catalogue/sync", ""))
	keep(g.refused(400, "invalid_request", "spec.credentials[0].weight", "PATCH", "/upstreams/u", unnamed(`{"credentials":[{"type":"bearer","token":"`+canary+`","weight":-1}]}`)))
	keep(g.refused(400, "invalid_request", "spec.credentials[0]", "PATCH", "/upstreams/u", unnamed(`{"credentials":[{"type":"bearer","tokens":"`+canary+`"}]}`)))
	keep(g.do("POST", "/backups", "").is(201))
	for _, path := range []string{"/status", "/upstreams", "/upstreams/u", "/upstreams/u/catalogue", "/circuits", "/export", "/export?format=caddyfile", "/backups", "/events?follow=false&after=9999"} {
		keep(g.read(path))
	}
	if strings.Contains(answers.String(), "4f1d7b02c9e8") {
		t.Errorf("the answers hold the secret: %s", answers.String())
	}
	if strings.Contains(g.log.String(), "4f1d7b02c9e8") {
		t.Error("the log holds the secret")
	}
	if n := findCanary(t, g.data); n < 5 {
		t.Errorf("only %d files were searched", n)
	}
	g.stop()
	findCanary(t, g.data)
}

// TestMaskKeepsTheSecret: what comes back as it was shown, empty or not at all keeps
// the secret; a mask is never stored, null clears, and another type drops it.
func TestMaskKeepsTheSecret(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.create("upstreams", "u", keyedBy(p, canary))
	g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`)
	shown := g.read("/upstreams/u").at("spec").Raw
	token := g.read("/upstreams/u").at("spec.credentials.0.token").Raw
	for name, c := range map[string]struct{ method, spec string }{
		"nothing":       {"PATCH", `{"tags":["a"]}`},
		"as shown":      {"PUT", shown},
		"mask":          {"PATCH", `{"credentials":[{"id":"1","type":"bearer","token":` + token + `}]}`},
		"empty":         {"PATCH", `{"credentials":[{"id":"1","type":"bearer","token":""}]}`},
		"left out":      {"PATCH", `{"credentials":[{"id":"1","type":"bearer"}]}`},
		"without an id": {"PATCH", `{"credentials":[{"type":"bearer"}]}`},
	} {
		g.do(c.method, "/upstreams/u", unnamed(c.spec)).is(200)
		if got := g.sent(p, "m"); got != "Bearer "+canary {
			t.Errorf("%s: the upstream is sent %q", name, got)
		}
	}
	for _, mask := range []string{`"…tail"`, `"sk-****tail"`, `"***"`, `{"set":true,"fingerprint":"00000000"}`, `{"sealed":"v1:x:y"}`, `"{env.HOME}"`, `5`} {
		g.refused(400, "invalid_request", "spec.credentials[0].token", "PATCH", "/upstreams/u", unnamed(`{"credentials":[{"id":"1","type":"bearer","token":`+mask+`}]}`))
	}
	g.refused(400, "invalid_request", "spec.credentials[0]", "PATCH", "/upstreams/u", unnamed(`{"credentials":[{"id":"1","type":"header","name":"X-Key"}]}`))
	if got := g.sent(p, "m"); got != "Bearer "+canary {
		t.Errorf("after what was refused the upstream is sent %q", got)
	}
	g.patch("/upstreams/u", `{"credentials":null}`)
	if got := g.sent(p, "m"); got != "" {
		t.Errorf("without credentials the upstream is sent %q", got)
	}
}

// TestSecretsOfAList: keys have ids that stay, so that a list is edited without its
// secrets; a key that is refused gives way to the next.
func TestSecretsOfAList(t *testing.T) {
	p := provider.New(t)
	p.Choose(func(r *provider.Request) provider.Step {
		if r.Header.Get("Authorization") == "Bearer sk-first-0123456789" {
			return provider.Fail(401, "revoked")
		}
		return provider.Say("Hello.")
	})
	g := startManaged(t, "secret_key "+keyOne, "")
	g.create("upstreams", "u", `{"base_url":"`+p.URL()+`","credentials":[{"type":"bearer","token":"sk-first-0123456789"},{"type":"bearer","token":"sk-second-0123456789","weight":0}]}`)
	g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`)
	g.read("/upstreams/u").has("spec.credentials.#.id", `["1","2"]`)
	for range 2 { // refused twice, the first key is left alone
		g.chat("m")
	}
	for range 4 {
		if got := g.sent(p, "m"); got != "Bearer sk-second-0123456789" {
			t.Errorf("the answer came with %q", got)
		}
	}
	if g.read("/upstreams/u/circuits").at(`items.#(credential=="1").state`).String() != "open" {
		t.Errorf("the first key is not shown as barred: %s", g.read("/upstreams/u/circuits").body)
	}
	// The first goes, a third comes before the second: this keeps its id and its secret.
	g.patch("/upstreams/u", `{"credentials":[{"type":"bearer","token":"sk-third-0123456789","weight":0},{"id":"2","type":"bearer"}]}`).
		has("spec.credentials.#.id", `["1","2"]`)
	if got := g.sent(p, "m"); got != "Bearer sk-second-0123456789" {
		t.Errorf("after the edit the answer came with %q", got)
	}
	g.refused(400, "invalid_request", "spec.credentials[1].id", "PATCH", "/upstreams/u", unnamed(`{"credentials":[{"id":"x","type":"bearer","token":"a-0123456789abc"},{"id":"x","type":"bearer","token":"b-0123456789abc"}]}`))
}

// TestNoSecretKey: without a key a secret is refused with what to do, and everything
// else works; a reload with one is enough.
func TestNoSecretKey(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "", "")
	body := named("u", keyedBy(p, canary))
	r := g.refused(409, "no_secret_key", "spec.credentials[0].token", "POST", "/upstreams", body)
	if !strings.Contains(r.at("error.message").String(), "secret_key") {
		t.Errorf("the message does not say what to do: %s", r.body)
	}
	g.create("upstreams", "open", `{"base_url":"`+p.URL()+`"}`)
	g.options = "secret_key " + keyOne
	g.reload()
	g.do("POST", "/upstreams?dry_run=true", body).is(200)
	g.options = ""
	g.reload()
	g.refused(409, "no_secret_key", "spec.credentials[0].token", "POST", "/upstreams", body)
	findCanary(t, g.data)
}

// TestSecretKeyRotation: with the new key before the old everything is sealed anew, and
// the old one is not needed any more, also where nothing had to be sealed.
func TestSecretKeyRotation(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.create("upstreams", "u", keyedBy(p, canary))
	g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`)
	g.options = "secret_key " + keyTwo + " " + keyOne
	g.reload()
	g.options = "secret_key " + keyTwo
	g.restart()
	g.read("/status").has("store.state", `"ok"`)
	if got := g.sent(p, "m"); got != "Bearer "+canary {
		t.Errorf("after the rotation the upstream is sent %q", got)
	}
	// What was sealed is deleted before the next rotation.
	g.do("DELETE", "/upstreams/u?cascade=true", "").is(200)
	g.options = "secret_key " + keyOne + " " + keyTwo
	g.restart()
	g.options = "secret_key " + keyOne
	g.restart()
	g.read("/status").has("store.state", `"ok"`)
}

// TestFault74WrongSecretKey: with another key, or none, the gateway serves what the
// config declares, leaves the files alone, and says so; the right key heals it.
func TestFault74WrongSecretKey(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "upstream d "+p.URL()+"\nmodel declared {\nsource d x\n}")
	g.create("upstreams", "u", keyedBy(p, canary))
	g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`)
	for name, options := range map[string]string{"wrong": "secret_key " + keyTwo, "missing": ""} {
		t.Run(name, func(t *testing.T) {
			g.stop()
			before := contents(t, g.data)
			g.options = options
			g.reload()
			if status, body := g.chat("declared"); status != 200 {
				t.Errorf("the declared model answers %d: %s", status, body)
			}
			if status, _ := g.chat("m"); status != 404 {
				t.Errorf("the managed model answers %d", status)
			}
			reason := g.read("/status").has("store.state", `"degraded"`).at("store.reason").String()
			if !strings.Contains(reason, "secret key") || !strings.Contains(g.log.String(), map[string]string{"wrong": "sealed with another secret key", "missing": "no secret key is set"}[name]) {
				t.Errorf("status or log do not tell: %q", reason)
			}
			r := g.refused(503, "store_unavailable", "", "POST", "/models", `{"name":"new","spec":{"sources":[{"upstream":"d","model":"x"}]}}`)
			if !strings.Contains(r.at("error.message").String(), "secret key") {
				t.Errorf("the refusal does not say why: %s", r.body)
			}
			g.refused(503, "store_unavailable", "", "POST", "/backups", "")
			g.do("POST", "/upstreams", named("new", keyedBy(p, canary))).is(map[string]int{"wrong": 503, "missing": 409}[name])
			if after := contents(t, g.data); after != before {
				t.Errorf("the files have changed:\n%s\n%s", before, after)
			}
			g.options = "secret_key " + keyOne
			g.reload()
			g.read("/status").has("store.state", `"ok"`)
			if got := g.sent(p, "m"); got != "Bearer "+canary {
				t.Errorf("with the right key the upstream is sent %q", got)
			}
		})
	}
}

// contents are the files of the store with a sum of each.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(filepath.Join(dir, "store"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := uint64(14695981039346656037)
		for _, b := range text {
			sum = (sum ^ uint64(b)) * 1099511628211
		}
		fmt.Fprintf(&all, "%s %d %x\n", entry.Name(), len(text), sum)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
