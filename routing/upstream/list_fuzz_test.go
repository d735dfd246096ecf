package upstream

import (
	"testing"
	"unicode/utf8"
)

// FuzzListPage reads hostile pages: whatever they hold, the names that come out can
// be used, each stands there once, and what is told of them is bounded.
func FuzzListPage(f *testing.F) {
	for _, doc := range []string{
		`{"data":[{"id":"a","owned_by":"x","context_length":5}],"has_more":true,"last_id":"a"}`,
		`{"models":[{"name":"models/a","displayName":"A","supportedGenerationMethods":["embedContent"]}],"nextPageToken":"p"}`,
		`["a","a","",7,null,{"id":"b\u0000"}]`,
		`{"data":null}`, `{}`, ` <html>`, "[\"\xff\"]", `{"models":[{"name":"llama3:8b"}]}`,
	} {
		for style := range styles {
			f.Add([]byte(doc), uint8(style))
		}
	}
	f.Fuzz(func(t *testing.T, doc []byte, style uint8) {
		c := collector{seen: make(map[string]bool)}
		next, err := c.add(doc, listStyle(style)%listStyle(len(styles)))
		if len(next) > listToken || err != nil && next != "" {
			t.Fatalf("the next page is at %q (%v)", next, err)
		}
		names := make(map[string]bool)
		for _, m := range c.listing.Models {
			if err := CheckModelName(m.ID); err != nil || names[m.ID] {
				t.Fatalf("got the name %q (%v)", m.ID, err)
			}
			names[m.ID] = true
			for _, text := range []string{m.DisplayName, m.OwnedBy} {
				if len(text) > describedName || !utf8.ValidString(text) {
					t.Fatalf("%q is told %q", m.ID, text)
				}
			}
			if m.ContextWindow < 0 || m.MaxOutput < 0 || m.ContextWindow > maxTokens || m.MaxOutput > maxTokens {
				t.Fatalf("%q has %d and %d tokens", m.ID, m.ContextWindow, m.MaxOutput)
			}
		}
		if err == nil && c.entries < len(c.listing.Models)+c.listing.Skipped {
			t.Fatalf("%d entries, but %d models and %d skipped", c.entries, len(c.listing.Models), c.listing.Skipped)
		}
	})
}
