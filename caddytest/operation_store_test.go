package caddytest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// furnish makes a little of everything: an upstream with a sealed secret and a
// catalogue, models in an order, an alias.
func (g *managed) furnish(p *provider.Provider) {
	g.t.Helper()
	g.create("upstreams", "u", keyedBy(p, canary))
	g.do("POST", "/upstreams/u/catalogue/sync", "").is(200)
	g.do("PATCH", "/upstreams/u/catalogue/models/a", `{"disabled":true}`).is(200)
	g.do("POST", "/upstreams/u/catalogue/models", `{"name":"hand"}`).is(201)
	g.create("models", "m1", `{"sources":[{"upstream":"u","model":"b"}]}`)
	g.create("models", "m2", `{"sources":[{"upstream":"u","model":"b","weight":3}]}`)
	g.create("aliases", "fast", `{"model":"m1"}`)
	g.do("POST", "/models/order", `{"names":["m2","m1"]}`).is(200)
}

// TestManagedSurvivesRestart: everything that was acknowledged is there after a
// restart, and works.
func TestManagedSurvivesRestart(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.furnish(p)
	before := g.everything()
	g.restart()
	if after := g.everything(); after != before {
		t.Errorf("before the restart:\n%s\nafter:\n%s", before, after)
	}
	if got := g.sent(p, "fast"); got != "Bearer "+canary {
		t.Errorf("after the restart the upstream is sent %q", got)
	}
}

// TestBackupAndRestore: what was changed, deleted and made since a backup is as it was
// when it is restored; a damaged or foreign backup changes nothing.
func TestBackupAndRestore(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.furnish(p)
	before := g.everything()
	name := g.do("POST", "/backups", "{}").is(201).at("name").String()
	g.read("/backups").has("total", "1", "items.0.name", `"`+name+`"`)
	file := g.read("/backups/" + name).body
	if stored, err := os.ReadFile(filepath.Join(g.data, "backups", name)); err != nil || string(stored) != file {
		t.Fatalf("the download is not the file (%v)", err)
	}

	change := func() {
		g.do("DELETE", "/models/m1?cascade=true", "").is(200)
		g.patch("/models/m2", `{"display_name":"Changed"}`)
		g.patch("/upstreams/u", `{"credentials":[{"id":"1","type":"bearer","token":"sk-another-0123456789"}]}`)
		g.do("PATCH", "/upstreams/u/catalogue/models/a", `{"disabled":false}`).is(200)
		g.do("DELETE", "/upstreams/u/catalogue/models/hand", "").is(200)
		g.create("upstreams", "later", `{"base_url":"`+p.URL()+`"}`)
		g.do("POST", "/upstreams/later/catalogue/sync", "").is(200)
	}
	change()
	changed := g.everything()
	damaged := []byte(file)
	damaged[len(damaged)/2] ^= 1
	for what, body := range map[string]string{"damaged": string(damaged), "cut": file[:len(file)/2], "empty": ""} {
		r := g.refused(409, "backup_unusable", "", "POST", "/restore", body, "Content-Type", "application/octet-stream")
		if strings.Contains(r.body, g.data) {
			t.Errorf("%s: the refusal tells a path: %s", what, r.body)
		}
	}
	g.refused(400, "invalid_request", "name", "POST", "/restore", `{}`)
	for _, none := range []string{"none", "..", "../store/MANIFEST", "..%2fstore%2fMANIFEST", name + ".tmp"} {
		g.refused(404, "not_found", "name", "POST", "/restore", `{"name":"`+none+`"}`)
	}
	g.do("GET", "/backups/..%2Fstore%2FMANIFEST", "").is(404)
	if after := g.everything(); after != changed {
		t.Errorf("what was refused has changed something:\n%s\n%s", changed, after)
	}
	if left, err := filepath.Glob(filepath.Join(g.data, "restore-*")); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v (%v)", left, err)
	}

	g.do("POST", "/restore", `{"name":"`+name+`"}`).is(200)
	if after := g.everything(); after != before {
		t.Errorf("before:\n%s\nafter the restore:\n%s", before, after)
	}
	if got := g.sent(p, "fast"); got != "Bearer "+canary {
		t.Errorf("after the restore the upstream is sent %q", got)
	}
	g.create("models", "new", `{"sources":[{"upstream":"u","model":"b"}]}`)
	g.do("DELETE", "/models/new", "").is(200)
	change()
	g.do("POST", "/restore", file, "Content-Type", "application/octet-stream; charset=binary").is(200)
	g.restart()
	if after := g.everything(); after != before {
		t.Errorf("before:\n%s\nafter a restore from a body, and a restart:\n%s", before, after)
	}
	findCanary(t, g.data)
}

// TestExportAndImport: what is exported can be wiped and imported again; an import over
// what is there keeps the secrets, and one that is refused changes nothing.
func TestExportAndImport(t *testing.T) {
	p := provider.New(t)
	p.Choose(lists(listing("a", "b"), provider.Say("Hello.")))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.create("upstreams", "open", `{"base_url":"`+p.URL()+`","tags":["x"]}`)
	g.create("models", "m1", `{"sources":[{"upstream":"open","model":"b"}],"order":1}`)
	g.create("aliases", "fast", `{"model":"m1"}`)
	specs := func() string {
		return g.read("/upstreams").at("items.#.spec").Raw + g.read("/models").at("items.#.spec").Raw + g.read("/aliases").at("items.#.spec").Raw
	}
	before, export := specs(), g.read("/export").body
	g.do("POST", "/import", export).is(200).has("created", "0", "changed", "0", "unchanged", "3")
	g.do("DELETE", "/models/m1?cascade=true", "").is(200)
	g.do("DELETE", "/upstreams/open", "").is(200)
	g.do("POST", "/import?dry_run=true", export).is(200).has("dry_run", "true", "created", "3")
	g.read("/upstreams").has("total", "0")
	g.do("POST", "/import", export).is(200).has("dry_run", "false", "created", "3", "unchanged", "0")
	if after := specs(); after != before {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
	if status, body := g.chat("fast"); status != 200 {
		t.Errorf("what was imported answers %d: %s", status, body)
	}
	// With a secret: the export has none, and the import keeps that which is stored.
	g.create("upstreams", "u", keyedBy(p, canary))
	g.create("models", "m2", `{"sources":[{"upstream":"u","model":"b"}]}`)
	export = g.read("/export").body
	g.do("POST", "/import", export).is(200).has("created", "0", "changed", "0")
	if got := g.sent(p, "m2"); got != "Bearer "+canary {
		t.Errorf("after the import the upstream is sent %q", got)
	}
	before = specs()
	g.do("POST", "/import", `{"upstreams":{"open":{"base_url":"http://127.0.0.1:9"}},"models":{"m3":{"sources":[{"upstream":"none","model":"x"}]}}}`).is(400)
	g.do("POST", "/import", `{"models":{"m1":null}}`).is(400)
	g.refused(400, "invalid_request", "upstreams.x.base_url", "POST", "/import", `{"upstreams":{"x":{"base_url":"ftp://x"}}}`)
	g.do("POST", "/import", `{}`).is(400)
	g.refused(400, "invalid_request", "settings", "POST", "/import", `{"settings":{}}`)
	if after := specs(); after != before {
		t.Errorf("what was refused has changed something: %s\n%s", before, after)
	}
	g.refused(400, "invalid_request", "format", "GET", "/export?format=yaml", "")
}

// TestFailedReloadLeavesTheManagement: after a config that could not be loaded the
// management API speaks for the one that serves.
func TestFailedReloadLeavesTheManagement(t *testing.T) {
	p := startProvider(t, provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "upstream d "+p.URL()+"\nmodel good {\nsource d x\n}")
	g.create("models", "managed", `{"sources":[{"upstream":"d","model":"x"}]}`)
	block := g.block
	g.block = "upstream other " + p.URL() + "\nmodel bad {\nsource other x\n}\n}\nreverse_proxy {\ntransport http {\ntls_trust_pool file /does/not/exist.pem\n}"
	if err := g.tryReload(); err == nil {
		t.Fatal("the bad config was loaded")
	}
	if got := g.read("/models").names(); got != "good managed" {
		t.Errorf("after the failed reload the models are %s", got)
	}
	g.create("models", "later", `{"sources":[{"upstream":"d","model":"x"}]}`)
	g.patch("/models/managed", `{"display_name":"New"}`)
	g.do("POST", "/models", `{"name":"bad","spec":{"sources":[{"upstream":"other","model":"x"}]}}`).is(400)
	for _, model := range []string{"good", "managed", "later"} {
		if status, body := g.chat(model); status != 200 {
			t.Errorf("%s answers %d: %s", model, status, body)
		}
	}
	g.block = block
	g.reload()
	if got := g.read("/models").names(); got != "good later managed" {
		t.Errorf("after the next reload the models are %s", got)
	}
	g.read("/models/managed").has("spec.display_name", `"New"`)
}

// TestReloadBetweenWritesAndStreams: a stream that runs over reloads and changes of
// what it uses ends as it began, and no change in between is lost.
func TestReloadBetweenWritesAndStreams(t *testing.T) {
	goOn := make(chan struct{})
	p := startProvider(t, provider.Say("one two three").WaitAt(1, goOn), provider.Say("Hello."))
	g := startManaged(t, "secret_key "+keyOne, "")
	g.create("upstreams", "u", keyedBy(p, canary))
	g.create("models", "m", `{"sources":[{"upstream":"u","model":"x"}]}`)
	resp := g.open(t.Context(), "/v1/chat/completions", clients[1].body("m"))
	defer resp.Body.Close()
	p.Wait(1)
	for i := range 5 {
		g.create("models", fmt.Sprintf("m%d", i), `{"sources":[{"upstream":"u","model":"x"}]}`)
		g.block = fmt.Sprintf("max_body %dMiB", i+1)
		g.reload()
		g.patch("/upstreams/u", fmt.Sprintf(`{"tags":["t%d"]}`, i))
	}
	g.do("DELETE", "/upstreams/u?cascade=true", "").is(200)
	close(goOn)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("the stream broke: %v", err)
	}
	if got := clients[1].text(t, string(body)); got != "one two three" {
		t.Errorf("the stream said %q", got)
	}
	g.restart()
	if got := g.read("/models").names(); got != "m m0 m1 m2 m3 m4" {
		t.Errorf("the models are %s", got)
	}
	g.read("/upstreams").has("total", "0")
}

// TestPagesOfOthersAreRefused: Caddy's endpoint and the API refuse what a browser sends
// for a page of another origin, or under another name.
func TestPagesOfOthersAreRefused(t *testing.T) {
	g := startManaged(t, "", "")
	const body = `{"name":"evil","spec":{"base_url":"http://127.0.0.1:9"}}`
	for name, headers := range map[string][]string{
		"origin":     {"Origin", "http://evil.example"},
		"cross-site": {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Origin", "http://" + g.admin},
	} {
		if r := g.do("POST", "/upstreams", body, headers...); r.status != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
	}
	// What no page can send with consent is not even looked at.
	r := g.do("POST", "/upstreams", body, "Sec-Fetch-Mode", "no-cors", "Origin", "http://"+g.admin)
	if r.status != http.StatusForbidden && r.status != http.StatusBadRequest {
		t.Errorf("no-cors: %d %s", r.status, r.body)
	}
	g.do("POST", "/upstreams", body, "Host", "evil.example").is(http.StatusForbidden)
	g.refused(415, "unsupported_media_type", "", "POST", "/upstreams", body, "Content-Type", "text/plain")
	g.read("/upstreams").has("total", "0")
}
