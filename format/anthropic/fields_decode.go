package anthropic

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// fields finds members of an object by their names. A member that is null stays
// Absent, one that is repeated is refused.
func fields(v tape.Value, path string, names []string, at ...*tape.Value) error {
	var seen uint64
	for key, value := range v.Members {
		for i, name := range names {
			if !key.Is(name) {
				continue
			}
			if seen&(1<<i) != 0 {
				return chat.Repeated(path + "." + name)
			}
			seen |= 1 << i
			if value.Present() {
				*at[i] = value
			}
		}
	}
	return nil
}

// wholeNumber reads a number of tokens, which is 1 at least; some clients write
// it with a fraction of 0.
func wholeNumber(v tape.Value) (n chat.Number, ok bool) {
	if v.Kind() != tape.Number {
		return nil, false
	}
	n, ok = chat.Number(v.Raw()).Whole()
	if !ok || n[0] == '-' || n[0] == '0' {
		return nil, false
	}
	return n, true
}
