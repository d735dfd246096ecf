package gemini

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxCitations bounds the citations of one answer.
const maxCitations = 1024

// cited is a citation with its place as the format tells it.
type cited struct {
	chat.Citation
	// part is the number of the part that the place is in.
	part int
	// from and to bound the place, in bytes; both 0 if unsaid.
	from, to int
}

// citedIn returns the citations of a candidate: those of its groundingMetadata,
// which come from searches, and those of its citationMetadata, which say what the
// model recites. They are views.
func citedIn(grounding, recited tape.Value) []cited {
	out := groundings(grounding)
	for _, name := range [...]string{"citationSources", "citations"} {
		for source := range member(recited, name).Elements {
			c := cited{from: intOf(source, "startIndex"), to: intOf(source, "endIndex")}
			c.URL, c.Title = member(source, "uri").Literal(), member(source, "title").Literal()
			if !c.URL.Empty() && len(out) < maxCitations {
				out = append(out, c)
			}
		}
	}
	return out
}

// groundings returns the citations of a groundingMetadata: one for each source
// of each supported place, and then the sources that support no place.
func groundings(v tape.Value) (out []cited) {
	chunks := member(v, "groundingChunks")
	if chunks.Len() == 0 {
		return nil
	}
	sources := make([]chat.Citation, 0, min(chunks.Len(), maxCitations))
	for chunk := range chunks.Elements {
		if len(sources) == maxCitations {
			break
		}
		sources = append(sources, sourceOf(chunk))
	}
	used := make([]bool, len(sources))
	for support := range member(v, "groundingSupports").Elements {
		segment := member(support, "segment")
		for index := range member(support, "groundingChunkIndices").Elements {
			i, ok := index.Int()
			if !ok || i < 0 || int(i) >= len(sources) || len(out) == maxCitations {
				continue
			}
			used[i] = true
			out = append(out, cited{
				Citation: sources[i], part: intOf(segment, "partIndex"),
				from: intOf(segment, "startIndex"), to: intOf(segment, "endIndex"),
			})
		}
	}
	for i := range sources {
		if !used[i] && len(out) < maxCitations {
			out = append(out, cited{Citation: sources[i]})
		}
	}
	kept := out[:0]
	for _, c := range out {
		if c.URL != nil || c.Title != nil {
			kept = append(kept, c)
		}
	}
	return kept
}

// sourceOf reads a groundingChunk: a page, a document, or a place on a map.
func sourceOf(chunk tape.Value) (c chat.Citation) {
	for _, kind := range [...]string{"web", "retrievedContext", "maps", "image"} {
		v := member(chunk, kind)
		if v.Kind() != tape.Object {
			continue
		}
		for _, name := range [...]string{"uri", "sourceUri"} {
			if uri := member(v, name).Literal(); c.URL == nil && !uri.Empty() {
				c.URL = uri
			}
		}
		if title := member(v, "title").Literal(); !title.Empty() {
			c.Title = title
		}
		if kind == "retrievedContext" {
			c.Quote = member(v, "text").Literal()
		}
		return c
	}
	return c
}

// member returns a member by its name in camel case, also if it stands there in
// snake case.
func member(v tape.Value, name string) tape.Value {
	if found := v.Get(name); found.Exists() {
		return found
	}
	for key, value := range v.Members {
		if string(canonical(key)) == name {
			return value
		}
	}
	return tape.Value{}
}

// intOf is a member that is a small number; 0 if it is none.
func intOf(v tape.Value, name string) int {
	n, ok := member(v, name).Int()
	if !ok || n < 0 || n > 1<<30 {
		return 0
	}
	return int(n)
}

// place returns the citation with its place in characters of a text that r has
// measured and that begins at a byte of the answer's text. ok is false if the
// place is in another text.
func (c *cited) place(r *ruler, base int) (placed chat.Citation, ok bool) {
	placed = c.Citation
	if c.from >= c.to || r.lost {
		return placed, true
	}
	if c.to <= base || c.from >= base+r.bytes {
		return placed, false
	}
	placed.Start, placed.End = r.charsAt(c.from-base), r.charsAt(c.to-base)
	return placed, true
}

// cite gives the blocks of an answer their citations. textOf are the numbers of
// the blocks that its parts have become, none for parts that are no text.
func cite(blocks []chat.Block, textOf []int, citations []cited) {
	rulers := make([]ruler, len(blocks))
	bases := make([]int, len(blocks))
	base, last := 0, none
	for i := range blocks {
		if blocks[i].Kind != chat.Text {
			continue
		}
		last = i
		bases[i] = base
		rulers[i].add(blocks[i].Text)
		base += rulers[i].bytes
	}
	if last == none {
		return
	}
	add := func(i, base int, c *cited) bool {
		placed, ok := c.place(&rulers[i], base)
		if ok {
			blocks[i].Citations = append(blocks[i].Citations, placed)
		}
		return ok
	}
	for n := range citations {
		c := &citations[n]
		// A place is one in its part, but some answers count through all of the text.
		if c.part < len(textOf) && textOf[c.part] != none && c.to <= rulers[textOf[c.part]].bytes {
			add(textOf[c.part], 0, c)
			continue
		}
		for i := range blocks {
			if blocks[i].Kind == chat.Text && add(i, bases[i], c) {
				break
			}
		}
	}
}
