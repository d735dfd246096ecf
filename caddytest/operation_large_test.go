package caddytest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// definitionsAtOnce are how many definitions of each kind are imported at once: more
// than one transaction of the store takes.
var definitionsAtOnce = map[string]int{"upstreams": 100, "models": 2600, "aliases": 300}

// manyDefinitions is the body of an import.
func manyDefinitions(t *testing.T) string {
	t.Helper()
	all := make(map[string]map[string]any)
	for kind, n := range definitionsAtOnce {
		all[kind] = make(map[string]any)
		for i := range n {
			name := fmt.Sprintf("%s-%04d", kind, i)
			switch kind {
			case "upstreams":
				all[kind][name] = map[string]any{"base_url": fmt.Sprintf("http://127.0.0.1:9/%d", i), "tags": []string{name}}
			case "models":
				all[kind][name] = map[string]any{
					"description": strings.Repeat("A model among many. ", 20),
					"sources":     []any{map[string]any{"upstream": fmt.Sprintf("upstreams-%04d", i%100), "model": name}},
				}
			case "aliases":
				all[kind][name] = map[string]any{"model": fmt.Sprintf("models-%04d", i)}
			}
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLargeImport takes thousands of definitions from one gateway to another in one
// step, and nothing of them if the last one is wrong.
func TestLargeImport(t *testing.T) {
	g := startManaged(t, "", "")
	body := manyDefinitions(t)
	g.do("POST", "/import", body).is(200).has("created", "3000")
	exported := g.read("/export").body
	g.stop()

	g.data = t.TempDir()
	g.reload()
	wrong := strings.Replace(exported, `"models":{`, `"models":{"zz":{"sources":[{"upstream":"nobody","model":"m"}]},`, 1)
	if r := g.do("POST", "/import", wrong); r.status != 400 || !strings.HasPrefix(r.at("error.field").String(), "models.zz") {
		t.Errorf("an import with a wrong definition: %d %.400s", r.status, r.body)
	}
	for kind := range definitionsAtOnce {
		if n := g.read("/" + kind).at("total").Int(); n != 0 {
			t.Errorf("the refused import left %d %s", n, kind)
		}
	}
	g.do("POST", "/import", exported).is(200).has("created", "3000", "changed", "0", "unchanged", "0")
	if again := g.read("/export").body; again != exported {
		t.Errorf("it exports %d bytes that are not the %d imported", len(again), len(exported))
	}
	revision := g.read(at("models", "models-0000")).at("revision").Raw
	for _, path := range []string{at("models", "models-2599"), at("upstreams", "upstreams-0099"), at("aliases", "aliases-0000")} {
		g.read(path).has("revision", revision)
	}
	g.restart()
	if again := g.read("/export").body; again != exported {
		t.Errorf("after a restart it exports %d bytes that are not the %d imported", len(again), len(exported))
	}
	g.do("POST", "/import", exported).is(200).has("created", "0", "changed", "0", "unchanged", "3000")
}
