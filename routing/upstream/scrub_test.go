package upstream

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// TestScrubKnowsEverySpelling shows that a key is found however a service repeats it:
// in JSON, in the address, in what was made fit for a message.
func TestScrubKnowsEverySpelling(t *testing.T) {
	for _, key := range []string{nasty, multiline, "plain-secret", "path/like/secret"} {
		for _, kind := range []string{"query", "body"} {
			t.Setenv("KEY", key)
			u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[{"type":"`+kind+`","name":"key","value":"{env.KEY}"}]}`)
			quoted, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			query := url.Values{"key": {key}}.Encode()
			for name, text := range map[string]string{
				"plain": key, "JSON": string(quoted), "message": format.Bounded(key, 1000),
				"query": query, "lower case": strings.ToLower(query), // the keys have no capitals
				"path": url.PathEscape(key), "our own query": "key=" + escapeQuery(key),
			} {
				got := u.Scrub("before " + text + " behind")
				if strings.Contains(got, "s3cret") || strings.Contains(got, "secret") || !strings.Contains(got, hidden) || !strings.HasSuffix(got, " behind") {
					t.Errorf("%s, %s: %q became %q", kind, name, text, got)
				}
			}
		}
	}
}

// TestScrubHidesTheBeginning shows that no more than three characters of a key are
// shown where a text was cut off in the middle of it.
func TestScrubHidesTheBeginning(t *testing.T) {
	const key = "abcdefghijkl"
	u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[{"type":"bearer","token":"`+key+`"}]}`)
	for n := range len(key) + 1 {
		text := "your key " + key[:n]
		want := "your key " + hidden + "…"
		if n < shortestPart {
			want = text + "…"
		}
		if got := u.Scrub(text + "…"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := u.Scrub(text); n < len(key) && got != text {
			t.Errorf("not cut off: got %q", got)
		}
	}
	for length := range 60 { // wherever the cut is
		message := format.Bounded(strings.Repeat("x", length)+" key "+key+fmt.Sprint(" is wrong ", strings.Repeat("y", 80)), 64)
		if got := u.Scrub(message); strings.Contains(got, key[:shortestPart]) {
			t.Errorf("%q became %q", message, got)
		}
	}
}
