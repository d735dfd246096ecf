package routing

import (
	"strings"
	"testing"
)

func TestSnapshotErrors(t *testing.T) {
	long := strings.Repeat("x", 257)
	for _, tc := range []struct{ name, upstreams, models, want string }{
		{"dangling", "", `"writer":{"sources":[{"upstream":"a","model":"x"},{"upstream":"opnai","model":"x"}]}`, `models.writer.sources[1].upstream: unknown upstream "opnai"; known: a, b, c`},
		{"no upstream", "", `"writer":{"sources":[{"upstream":"","model":"x"}]}`, `models.writer.sources[0].upstream: required; known: a, b, c`},
		{"no sources", "", `"writer":{}`, `models.writer.sources: a model needs at least one source`},
		{"no upstream model", "", `"writer":{"sources":[{"upstream":"a","model":""}]}`, `models.writer.sources[0].model: must not be empty`},
		{"control character", "", `"writer":{"sources":[{"upstream":"a","model":"x\ny"}]}`, `models.writer.sources[0].model: must not hold control characters`},
		{"long upstream model", "", `"writer":{"sources":[{"upstream":"a","model":"` + long + `"}]}`, `models.writer.sources[0].model: must not be longer than 256 bytes`},
		{"twice", "", `"writer":{"sources":[{"upstream":"a","model":"x"},{"upstream":"a","model":"x","priority":2}]}`, `models.writer.sources[1]: source a:x stands twice, first as sources[0]`},
		{"format not spoken", "", `"writer":{"sources":[{"upstream":"a","model":"x","format":"anthropic_messages"}]}`, `models.writer.sources[0].format: upstream a does not speak "anthropic_messages"; it speaks openai_chat`},
		{"priority", "", `"writer":{"sources":[{"upstream":"a","model":"x","priority":-1}]}`, `models.writer.sources[0].priority: must not be negative`},
		{"negative weight", "", `"writer":{"sources":[{"upstream":"a","model":"x","weight":-1}]}`, `models.writer.sources[0].weight: must be between 0 and 1000`},
		{"large weight", "", `"writer":{"sources":[{"upstream":"a","model":"x","weight":1001}]}`, `models.writer.sources[0].weight: must be between 0 and 1000`},
		{"empty name", "", `"":{"sources":[{"upstream":"a","model":"x"}]}`, `models: name "" must not be empty`},
		{"long name", "", `"` + long + `":{"sources":[{"upstream":"a","model":"x"}]}`, `must not be longer than 256 bytes`},
		{"control character in a name", "", `"a\u007fb":{"sources":[{"upstream":"a","model":"x"}]}`, `models: name "a\x7fb" must not hold control characters`},
		{"null model", "", `"writer":null`, `models.writer: is null`},
		{"null upstream", `"a":null`, ``, `upstreams.a: is null`},
		{"name of an upstream", `"a\tb":{"base_url":"http://h"}`, ``, `upstreams: name "a\tb" must not hold control characters`},
		{"a disabled model is checked too", "", `"writer":{"disabled":true,"sources":[{"upstream":"d","model":"x"}]}`, `models.writer.sources[0].upstream: unknown upstream "d"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decode(t, tc.upstreams, tc.models)
			if _, err := NewSnapshot(d); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestSameModelInTwoFormats(t *testing.T) {
	s := snapshot(t, `"v":{"base_url":"http://v","formats":["openai_chat","anthropic_messages"]}`,
		`"m":{"sources":[{"upstream":"v","model":"x","format":"openai_chat"},{"upstream":"v","model":"x","format":"anthropic_messages"},{"upstream":"v","model":"x"}]}`)
	e, _ := s.Model("m")
	var ids []string
	for i := range e.Model.Sources {
		ids = append(ids, e.Model.Sources[i].ID())
	}
	if got, want := strings.Join(ids, " "), "v:x:openai_chat v:x:anthropic_messages v:x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestListing(t *testing.T) {
	s := snapshot(t, `"off":{"base_url":"http://h","disabled":true},"bare":{"base_url":"{env.NO_SUCH_URL}"},`+three, `
		"z":{"display_name":"Zed","vendor":"v","sources":[{"upstream":"a","model":"x"}]},
		"b":{"sources":[{"upstream":"off","model":"x"},{"upstream":"b","model":"x"}]},
		"disabled":{"disabled":true,"sources":[{"upstream":"a","model":"x"}]},
		"without":{"sources":[{"upstream":"off","model":"x"},{"upstream":"bare","model":"x"},{"upstream":"a","model":"x","disabled":true}]}`)
	var names []string
	for _, e := range s.Models() {
		names = append(names, e.Name)
	}
	if got := strings.Join(names, " "); got != "b z" {
		t.Errorf("models: got %s", got)
	}
	if e, ok := s.Model("z"); !ok || e.Model.DisplayName != "Zed" || e.Model.Vendor != "v" || !e.Usable() {
		t.Errorf("z: got %+v", e)
	}
	if e, ok := s.Model("without"); !ok || e.Usable() {
		t.Errorf("without: got %+v", e)
	}
	names = nil
	for _, u := range s.Upstreams() {
		names = append(names, u.Name())
	}
	if got := strings.Join(names, " "); got != "a b bare c off" {
		t.Errorf("upstreams: got %s", got)
	}
	if u, ok := s.Upstream("a"); !ok || u.Name() != "a" {
		t.Errorf("a: got %v", u)
	}
	if _, ok := s.Upstream("nope"); ok {
		t.Error("nope is found")
	}
}

// What happens to the definitions afterwards does not reach the snapshot.
func TestSnapshotIsImmutable(t *testing.T) {
	d := decode(t, "", `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	d.Models["m"].Sources[0].Model = "other"
	d.Models["m"].Disabled = true
	delete(d.Models, "m")
	delete(d.Upstreams, "a")
	p, err := new(Router).Plan(s, chatRequest("m"))
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := p.Next(); !ok || c.Model != "x" || c.Source.Model != "x" {
		t.Errorf("got %+v", c)
	}
	if _, ok := s.Upstream("a"); !ok {
		t.Error("a is gone")
	}
}
