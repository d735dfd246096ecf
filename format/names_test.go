package format_test

import (
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func TestNameRulesFit(t *testing.T) {
	plain := format.NameRules{Max: 20, Takes: format.PlainCharacter}
	letterFirst := format.NameRules{
		Max: 20, Takes: format.PlainCharacter,
		Starts: func(c byte) bool { return 'a' <= c && c <= 'z' || c == '_' },
	}
	hashed := func(kept, text string) string { return kept + "_" + format.Digest(8, []byte(text)) }
	long := strings.Repeat("n", 30)
	for _, tc := range []struct {
		name, text, want string
		rules            *format.NameRules
	}{
		{"fits", `"read_file"`, "read_file", &plain},
		{"just fits", `"` + long[:20] + `"`, long[:20], &plain},
		{"needless escape", `"re\u0061d"`, "read", &plain},
		{"dot", `"a.b"`, hashed("a_b", "a.b"), &plain},
		{"not ASCII", `"é"`, hashed("__", "é"), &plain},
		{"empty", `""`, hashed("", ""), &plain},
		{"too long", `"` + long + `"`, hashed(long[:11], long), &plain},
		{"digit first", `"1a"`, hashed("_1a", "1a"), &letterFirst},
		{"digit first and long", `"1` + long + `"`, hashed("_1"+long[:9], "1"+long), &letterFirst},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.rules.Fit(chat.Literal(tc.text))
			if got.String() != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if !tc.rules.Allow(got.Inner()) {
				t.Errorf("%s does not follow the rules", got)
			}
			if again := tc.rules.Fit(got); !again.Equal(got) {
				t.Errorf("%s does not stay: %s", got, again)
			}
		})
	}
}

func TestDigestKnowsWhereThePartsAre(t *testing.T) {
	seen := map[string]bool{}
	for _, parts := range [][][]byte{{[]byte("ab")}, {[]byte("a"), []byte("b")}, {[]byte("ab"), nil}, {nil, []byte("ab")}} {
		d := format.Digest(64, parts...)
		if len(d) != 64 || seen[d] {
			t.Errorf("%q has digest %s", parts, d)
		}
		seen[d] = true
	}
	if got := format.Digest(8, []byte("abc")); got != "ba7816bf" { // FIPS 180-4, example of SHA-256
		t.Errorf("got %s", got)
	}
}
