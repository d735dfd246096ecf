package gemini

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxSources is how many bytes of metadata one stream may hold. What is more is
// left out: it is no part of the answer's text.
const maxSources = 1 << 20

// sources keeps what a stream says about where its text comes from, until the
// text is whole: places in it may be told before it, and several times.
type sources struct {
	held [][2][]byte // groundingMetadata and citationMetadata
	size int
	told map[string]bool
}

// take keeps a chunk's metadata.
func (s *sources) take(a *answer) {
	if a.grounding.Len() == 0 && a.recited.Len() == 0 {
		return
	}
	if s.size += len(a.grounding.Raw()) + len(a.recited.Raw()); s.size > maxSources {
		return
	}
	s.held = append(s.held, [2][]byte{bytes.Clone(a.grounding.Raw()), bytes.Clone(a.recited.Raw())})
}

// cite appends the citations of the text of a block, which r has measured and
// which begins at byte base of the answer's text.
func (s *sources) cite(dst []chat.Event, block int, r *ruler, base int) []chat.Event {
	for _, raw := range s.held {
		var grounding, recited tape.Tape
		if parseOptional(&grounding, raw[0]) != nil || parseOptional(&recited, raw[1]) != nil {
			continue // They were parsed before: this cannot be.
		}
		citations := citedIn(grounding.Root(), recited.Root())
		for i := range citations {
			dst = s.citation(dst, block, &citations[i], r, base)
		}
	}
	s.held = nil
	return dst
}

// parseOptional parses a document that may be absent.
func parseOptional(t *tape.Tape, raw []byte) error {
	if len(raw) == 0 {
		return nil
	}
	return t.Parse(raw)
}

// citation appends a citation, unless it was told before.
func (s *sources) citation(dst []chat.Event, block int, c *cited, r *ruler, base int) []chat.Event {
	placed, ok := c.place(r, base)
	if !ok {
		return dst
	}
	key := string(appendKey(nil, &placed))
	if s.told[key] || len(s.told) == maxCitations {
		return dst
	}
	if s.told == nil {
		s.told = make(map[string]bool)
	}
	s.told[key] = true
	return append(dst, chat.Event{Kind: chat.EventDelta, Index: block, Delta: chat.DeltaCitation, Citation: &placed})
}

// appendKey appends what tells a citation from others.
func appendKey(dst []byte, c *chat.Citation) []byte {
	dst = append(append(dst, c.URL...), c.Title...)
	dst = strconv.AppendInt(append(dst, ' '), int64(c.Start), 10)
	return strconv.AppendInt(append(dst, ' '), int64(c.End), 10)
}
