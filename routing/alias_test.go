package routing

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		glob, name string
		want       bool
	}{
		{"claude-*", "claude-", true},
		{"claude-*", "claude-sonnet", true},
		{"claude-*", "my-claude-sonnet", false},
		{"*-mini", "o3-mini", true},
		{"*-mini", "o3-mini-high", false},
		{"*", "", true},
		{"*", "a/b", true},
		{"a*a", "a", false},
		{"a*a", "aa", true},
		{"a*b*c", "axxbyybzzc", true},
		{"a*b*c", "ac", false},
		{"a**c", "abc", true},
		{"*b*", "abc", true},
		{"a.c*", "abc", false},
		{"[ab]*", "a", false},
	} {
		if got := newGlob(tc.glob).matches(tc.name); got != tc.want {
			t.Errorf("%s and %q: got %t", tc.glob, tc.name, got)
		}
	}
}

func TestPattern(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
		literals      int
	}{
		{`claude-.*`, "claude-x", true, 7},
		{`claude-.*`, "my-claude-x", false, 7},
		{`gpt`, "gpt-4o", false, 3},
		{`a|b`, "b", true, 0},
		{`a|bc`, "abc", false, 1},
		{`gpt-(4|3\.5)-turbo`, "gpt-4-turbo", true, 11},
		{`(?i)gpt`, "GPT", true, 3},
		{`(?m)^a$`, "a\nb", false, 1},
		{`o\d+(-mini)?`, "o3", true, 1},
		{`(ab){2,3}`, "abab", true, 4},
		{`x+`, "xxx", true, 1},
		{`a*`, "", true, 0},
	} {
		a, err := newAlias("p", &Alias{Model: "m", Pattern: tc.pattern})
		if err != nil {
			t.Fatalf("%s: %v", tc.pattern, err)
		}
		if got := a.matches(tc.name); got != tc.want || a.literals != tc.literals {
			t.Errorf("%s and %q: got %t and %d characters", tc.pattern, tc.name, got, a.literals)
		}
	}
}

// TestHostilePattern shows that no pattern backtracks or grows, whatever name comes;
// the limit is far above what a loaded machine needs.
func TestHostilePattern(t *testing.T) {
	for _, pattern := range []string{
		`(a*)*b`, `(a|a)*b`, `(a|aa)+b`, `a?a?a?a?a?a?a?a?a?a?a?a?aaaaaaaaaaaab`, `(.*a){20}`,
		`(a{1,30}){1,30}b`, `.{900}`, strings.Repeat(`\pL`, 300), strings.Repeat(`(a|b)*`, 100),
	} {
		a, err := newAlias("p", &Alias{Model: "m", Pattern: pattern})
		if err != nil {
			if !strings.HasPrefix(err.Error(), ".pattern: is too costly") {
				t.Errorf("%s: %v", pattern, err)
			}
			continue
		}
		began := time.Now()
		a.matches(strings.Repeat("a", maxName))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%s takes %s", pattern, took)
		}
	}
}

// twoModels are what the tests name.
const twoModels = `"writer":{"sources":[{"upstream":"a","model":"x"}]},"other":{"sources":[{"upstream":"b","model":"y"}]}`

func TestAliasErrors(t *testing.T) {
	for _, tc := range []struct{ name, aliases, want string }{
		{"no model", `"a":{}`, `aliases.a.model: required; known: other, writer`},
		{"unknown model", `"a":{"model":"writr"}`, `aliases.a.model: unknown model "writr"; known: other, writer`},
		{"unknown upstream", `"a":{"model":"@nope/x"}`, `aliases.a.model: unknown upstream "nope"; known: a, b, c`},
		{"of an alias", `"a":{"model":"writer"},"b":{"model":"a"}`, `aliases.b.model: "a" is an alias itself; name its model`},
		{"of itself", `"a":{"model":"a"}`, `aliases.a.model: "a" is an alias itself; name its model`},
		{"named as a model", `"other":{"model":"writer"}`, `models.other: there is an alias of this name`},
		{"null", `"a":null`, `aliases.a: is null`},
		{"empty name", `"":{"model":"writer"}`, `aliases: name "" must not be empty`},
		{"broken pattern", `"a":{"model":"writer","pattern":"("}`, `aliases.a.pattern: is no regular expression: `},
		{"pattern that leaves its group", `"a":{"model":"writer","pattern":"a)|(b"}`, `aliases.a.pattern: is no regular expression: `},
		{"long pattern", `"a":{"model":"writer","pattern":"` + strings.Repeat("a", 1025) + `"}`, `aliases.a.pattern: must not be longer than 1024 bytes`},
		{"costly pattern", `"a":{"model":"writer","pattern":"a{1000}b{1000}"}`, `aliases.a.pattern: is too costly; use smaller repetitions`},
		{"two patterns", `"a*":{"model":"writer","pattern":"a"}`, `aliases.a*.pattern: an alias whose name holds * has no other pattern`},
		{"announced by an exact one", `"a":{"model":"writer","announce":["b"]}`, `aliases.a.announce: only an alias with a pattern`},
		{"announced and no match", `"a*":{"model":"writer","announce":["ab","ba"]}`, `aliases.a*.announce[1]: "ba" does not match the alias`},
		{"announced and empty", `"*":{"model":"writer","announce":[""]}`, `aliases.*.announce[0]: must not be empty`},
		{"announced model", `"o*":{"model":"writer","announce":["other"]}`, `models.other: alias "o*" announces this name`},
		{"announced alias", `"o*":{"model":"writer","announce":["o1"]},"o1":{"model":"writer"}`, `aliases.o*.announce[0]: there is an alias "o1"`},
		{"announced twice", `"o*":{"model":"writer","announce":["o1"]},"*1":{"model":"writer","announce":["o1"]}`, `aliases.o*.announce[0]: "o1" is announced by alias "*1" already`},
		{"announced twice by one", `"o*":{"model":"writer","announce":["o1","o1"]}`, `aliases.o*.announce[1]: "o1" is announced by alias "o*" already`},
		{"a disabled one is checked too", `"a":{"model":"nope","disabled":true}`, `aliases.a.model: unknown model "nope"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := decode(t, "", twoModels)
			d.Aliases = decodeAliases(t, tc.aliases)
			if _, err := NewSnapshot(d); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func decodeAliases(t testing.TB, text string) map[string]*Alias {
	t.Helper()
	var aliases map[string]*Alias
	if err := DecodeConfig([]byte(`{`+text+`}`), &aliases); err != nil {
		t.Fatal(err)
	}
	return aliases
}

// TestPatternOrder shows that the most literal characters decide, then the name.
func TestPatternOrder(t *testing.T) {
	d := decode(t, "", `"m1":{"sources":[{"upstream":"a","model":"1"}]},"m2":{"sources":[{"upstream":"a","model":"2"}]},"m3":{"sources":[{"upstream":"a","model":"3"}]},"m4":{"sources":[{"upstream":"a","model":"4"}]}`)
	d.Aliases = decodeAliases(t, `"*":{"model":"m1"},"claude-*":{"model":"m2"},"long":{"model":"m3","pattern":"claude-(sonnet|haiku)-.*"},"*-claude":{"model":"m4"},"claude-x*":{"model":"m1","disabled":true}`)
	s, err := NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"anything": "m1", "claude-x1": "m2", "claude-sonnet-4": "m3", "my-claude": "m4", "claude-claude": "m4", "long": "m1",
	} {
		if e, ok := s.Lookup(name); !ok || e.Name != want {
			t.Errorf("%s is %v, want %s", name, e, want)
		}
	}
}

// TestResolvedIsBounded shows that names that clients invent do not add up.
func TestResolvedIsBounded(t *testing.T) {
	state := NewState()
	d := decode(t, "", twoModels)
	d.Aliases = decodeAliases(t, `"*":{"model":"writer"}`)
	c := new(Catalogue)
	for i := range 2 * maxPassing {
		c.Models = append(c.Models, fmt.Sprintf("x%05d", i))
	}
	d.Catalogues = map[string]*Catalogue{"a": c}
	s, err := state.NewSnapshot(d)
	if err != nil {
		t.Fatal(err)
	}
	s.Adopt()
	for i := range 2 * maxPassing {
		if e, ok := s.Lookup(fmt.Sprintf("invented %d", i)); !ok || e.Name != "writer" {
			t.Fatalf("got %v", e)
		}
		if _, ok := s.Lookup(fmt.Sprintf("@a/x%05d", i)); !ok {
			t.Fatal("not found")
		}
	}
	if n := len(s.resolved.entries); n > maxResolved {
		t.Errorf("%d names are remembered", n)
	}
	if n := len(state.passed); n > maxPassing {
		t.Errorf("%d names have a state", n)
	}
	if n := len(state.models); n != 2 {
		t.Errorf("%d models have a state", n)
	}
}
