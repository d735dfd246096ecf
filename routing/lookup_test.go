package routing

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// named is a gateway with everything that a name can stand for.
func named(t testing.TB) *Snapshot {
	t.Helper()
	d := decode(t, "", `
		"exact":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"x","priority":2}]},
		"vendor/model":{"sources":[{"upstream":"a","model":"slashed"}]},
		"off":{"disabled":true,"sources":[{"upstream":"a","model":"of off"}]},
		"inside":{"access":"internal","sources":[{"upstream":"a","model":"secret"}]},
		"first":{"order":-1,"display_name":"The first","sources":[{"upstream":"a","model":"switched off"},{"upstream":"b","model":"first"}]}`)
	d.Aliases = decodeAliases(t, `
		"alias":{"model":"exact"},
		"to-pin":{"model":"@b/anything"},
		"to-inside":{"model":"inside"},
		"to-off":{"model":"off"},
		"gone":{"model":"exact","disabled":true},
		"glob-*":{"model":"exact","announce":["glob-1"]},
		"gpt*":{"model":"exact"}`)
	d.Catalogues = map[string]*Catalogue{
		"a":    {Models: []string{"@cf/shown", "both", "exact", "gone", "gpt-9", "not this", "off", "only a"}, Disabled: map[string]bool{"not this": true, "switched off": true}},
		"b":    {Models: []string{"both"}},
		"nope": {Models: []string{"of no upstream"}},
	}
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLookup(t *testing.T) {
	s := named(t)
	for _, tc := range []struct{ name, entry, sources string }{
		{"exact", "exact", "a:x b:x"},
		{"vendor/model", "vendor/model", "a:slashed"},
		{"alias", "exact", "a:x b:x"},
		{"glob-1", "exact", "a:x b:x"},
		{"glob-other", "exact", "a:x b:x"},
		{"gpt-9", "exact", "a:x b:x"}, // the pattern comes before the catalogue
		{"gone", "gone", "a:gone"},    // as if the alias were not there
		{"both", "both", "a:both b:both"},
		{"only a", "only a", "a:only a"},
		{"to-pin", "@b/anything", "b:anything"},
		{"@a/x", "@a/x", "a:x"},
		{"@b/x", "@b/x", "b:x"},
		{"@a/only a", "@a/only a", "a:only a"},
		{"@cf/shown", "@cf/shown", "a:@cf/shown"},
		{"inside", "inside", "a:secret"},
		{"to-inside", "inside", "a:secret"},
		{"off", "", ""}, // no catalogue takes the place of a model that was switched off
		{"to-off", "", ""},
		{"@b/only a", "", ""},
		{"@a/secret", "", ""},
		{"@a/of off", "", ""},
		{"@b/anything", "", ""},
		{"@a/", "", ""},
		{"@nope/x", "", ""},
		{"of no upstream", "", ""},
		{"Exact", "", ""},
		{"", "", ""},
	} {
		for range 2 { // the second answer is remembered
			e, ok := s.Lookup(tc.name)
			if ok != (tc.entry != "") {
				t.Errorf("%q: found %t", tc.name, ok)
				break
			}
			if ok && (e.Name != tc.entry || strings.ReplaceAll(e.Model.sourceIDs(), ", ", " ") != tc.sources) {
				t.Errorf("%q is %s with %s", tc.name, e.Name, e.Model.sourceIDs())
			}
		}
	}
}

func TestDisabledInCatalogue(t *testing.T) {
	s, r := named(t), seeded()
	_, err := r.Plan(s, chatRequest("not this"))
	if none, ok := errors.AsType[*NoSourceError](err); !ok || !none.Disabled() || !strings.Contains(err.Error(), "is disabled in the catalogue") {
		t.Errorf("got %v", err)
	}
	if got := drawn(t, r, s, chatRequest("first")); !slices.Equal(got, []string{"first"}) {
		t.Errorf("got %v", got)
	}
}

func TestNames(t *testing.T) {
	s := named(t)
	for _, tc := range []struct {
		list, name string
		known      bool
	}{
		{"", "exact", true},
		{"", "inside", false},
		{"", "to-inside", false},
		{"alias", "exact", false},
		{"alias", "alias", true},
		{"exact", "alias", false},
		{"glob-*", "glob-7", true},
		{"*", "exact", true},
		{"*", "@a/x", true},
		{"*", "inside", false},
		{"ins*", "inside", false},
		{"inside", "inside", true},
		{"inside", "to-inside", false},
		{"to-inside", "to-inside", false},
		{"inside to-*", "to-inside", true},
		{"exact", "@a/x", false},
		{"@a/*", "@a/x", true},
	} {
		names, err := NewNames(strings.Fields(tc.list))
		if err != nil {
			t.Fatal(err)
		}
		req := chatRequest(tc.name)
		req.Names = names
		if _, err := seeded().Plan(s, req); (err == nil) != tc.known || err != nil && !errors.Is(err, ErrUnknownModel) {
			t.Errorf("%q of %q: %v", tc.name, tc.list, err)
		}
		if _, ok := s.Offer(names, tc.name); ok != tc.known {
			t.Errorf("%q of %q: offered %t", tc.name, tc.list, ok)
		}
	}
	if _, err := NewNames([]string{"a", "b\n"}); err == nil || err.Error() != "[1]: must not hold control characters" {
		t.Errorf("got %v", err)
	}
}

func TestOffers(t *testing.T) {
	s := named(t)
	for list, want := range map[string]string{
		"":                  "first,exact,vendor/model,alias,glob-1,to-pin,@cf/shown,both,gone,gpt-9,only a",
		"first inside to-*": "first,inside,to-inside,to-pin",
		"* inside":          "first,exact,inside,vendor/model,alias,glob-1,to-inside,to-pin,@cf/shown,both,gone,gpt-9,only a",
		"@a/x":              "",
	} {
		names, err := NewNames(strings.Fields(list))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range s.Offers(names) {
			got = append(got, o.Name)
		}
		if strings.Join(got, ",") != want {
			t.Errorf("%q\ngot  %s\nwant %s", list, strings.Join(got, ","), want)
		}
	}
	if o, ok := s.Offer(nil, "first"); !ok || o.DisplayName() != "The first" {
		t.Errorf("first: %+v", o)
	}
	if _, ok := s.Offer(nil, "not this"); ok {
		t.Error("what is disabled is offered")
	}
}

func TestOperations(t *testing.T) {
	s := snapshot(t, `"v":{"base_url":"http://v","formats":["openai_chat","openai_responses","openai_embeddings","openai_images"]},`+three, `
		"chats":{"operations":["chat"],"sources":[{"upstream":"v","model":"x"}]},
		"images":{"operations":["image_generate"],"sources":[{"upstream":"a","model":"x"}]},
		"any":{"sources":[{"upstream":"v","model":"x"}]},
		"half":{"sources":[{"upstream":"a","model":"x"},{"upstream":"v","model":"x","disabled":true}]}`)
	for _, tc := range []struct {
		model string
		op    format.Operation
		works bool
	}{
		{"chats", format.OperationChat, true},
		{"chats", format.OperationCountTokens, true},
		{"chats", format.OperationEmbed, false},
		{"chats", format.OperationImageGenerate, false},
		{"any", format.OperationImageGenerate, true},
		{"images", format.OperationChat, false},
		{"images", format.OperationImageGenerate, false},
		{"half", format.OperationImageGenerate, false},
	} {
		client := format.OpenAIResponses
		switch tc.op {
		case format.OperationEmbed:
			client = format.OpenAIEmbeddings
		case format.OperationImageGenerate:
			client = format.OpenAIImages
		}
		_, err := seeded().Plan(s, Request{Model: tc.model, Format: client, Operation: tc.op})
		none, unusable := errors.AsType[*NoSourceError](err)
		if tc.works != (err == nil) || unusable != !tc.works || unusable && !none.Unable() {
			t.Errorf("%s for %s: %v", tc.model, tc.op, err)
		}
	}
	if e, ok := s.Model("images"); !ok || e.Usable() {
		t.Error("a model whose only source cannot do what it is for is usable")
	}
}

func TestModelWithoutSource(t *testing.T) {
	d := decode(t, "", twoModels+`,"new":{}`)
	d.Models["new"].AllowNoSource()
	d.Aliases = decodeAliases(t, `"to-new":{"model":"new"}`)
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"new", "to-new"} {
		if _, err := seeded().Plan(s, chatRequest(name)); !errors.Is(err, ErrUnknownModel) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(s.Offers(nil)); n != 2 {
		t.Errorf("%d names are offered", n)
	}
}

func TestModelUseErrors(t *testing.T) {
	const source = `"sources":[{"upstream":"a","model":"x"}]`
	for field, want := range map[string]string{
		`"access":"secret"`:                                   `models.m.access: must be public or internal, not "secret"`,
		`"operations":["chat","list_models"]`:                 `models.m.operations[1]: unknown operation "list_models"; known: chat, `,
		`"operations":["chat","chat"]`:                        `models.m.operations[1]: chat stands twice`,
		`"description":"` + strings.Repeat("x", 10_001) + `"`: `models.m.description: must not be longer than 10000 bytes`,
	} {
		if _, err := NewSnapshot(decode(t, "", `"m":{`+field+`,`+source+`}`)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

// TestConcurrentLookups shows that names are found and routes made by many at once.
func TestConcurrentLookups(t *testing.T) {
	s := named(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for _, name := range []string{"exact", "alias", "glob-2", "both", "@a/x", "to-pin"} {
				p, err := new(Router).Plan(s, chatRequest(name))
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				if _, ok := p.Next(); !ok {
					t.Errorf("%s has no source", name)
				}
			}
		})
	}
	wg.Wait()
}

func TestPlanAllocatesNothing(t *testing.T) {
	s, r := named(t), new(Router)
	for _, name := range []string{"exact", "alias", "glob-2", "both", "@a/x"} {
		req := chatRequest(name)
		allocs := testing.AllocsPerRun(100, func() {
			if _, err := r.Plan(s, req); err != nil {
				t.Fatal(err)
			}
		})
		if allocs > 0 {
			t.Errorf("%s: %v allocations", name, allocs)
		}
	}
}
