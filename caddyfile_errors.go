package aigateway

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// errAt is an error about a place in a Caddyfile that the parser has left. If that was
// imported, it says from where, as the parser's own errors do.
func errAt(at caddyfile.Token, format string, args ...any) error {
	d := caddyfile.NewDispenser([]caddyfile.Token{at})
	d.Next()
	return d.Errf(format, args...)
}

// unknown is the error for a word that is none of the known ones.
func unknown(d *caddyfile.Dispenser, what, word string, known ...string) error {
	return d.Errf("unrecognized %s %q%s", what, word, suggestion(word, known))
}

// suggestion names the known word that is nearest to the given one, or all of
// them if none is near.
func suggestion(word string, known []string) string {
	if best := routing.Nearest(word, known); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	if len(known) == 0 {
		return ""
	}
	return "; known are " + strings.Join(known, ", ")
}
