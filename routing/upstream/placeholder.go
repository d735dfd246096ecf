package upstream

import (
	"errors"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// resolved is a configured text with its placeholders replaced.
type resolved struct {
	text string
	// missing is the first placeholder that came out empty, as it was written.
	missing string
	// dynamic says that there was a placeholder.
	dynamic bool
}

// namedPlaceholder is what a placeholder of ours looks like. Anything else in
// braces might be part of a secret and is not repeated to anybody.
var namedPlaceholder = regexp.MustCompile(`^(?:env|file|system|time)\.[A-Za-z0-9_./:\\ -]+$`)

// resolve replaces the placeholders in raw. An unknown one comes out empty.
func resolve(repl *caddy.Replacer, raw string) (resolved, error) {
	var r resolved
	text, err := repl.ReplaceFunc(raw, func(name string, value any) (any, error) {
		r.dynamic = true
		if r.missing == "" && strings.TrimSpace(caddy.ToString(value)) == "" {
			r.missing = "placeholder"
			if namedPlaceholder.MatchString(name) {
				r.missing = "{" + name + "}"
			}
		}
		return value, nil
	})
	if err != nil {
		return r, errors.New("has too many braces that are not closed")
	}
	r.text = strings.TrimSpace(text)
	return r, nil
}
