package gemini

import (
	"bytes"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// grounding gathers the citations of an answer for a client, as its
// groundingMetadata. The zero value has none.
type grounding struct {
	chunks, supports []byte // elements of arrays, with commas between them
	// index are the numbers of the chunks by what stands in them.
	index map[string]int
	count int
}

// textAt is where a text stands in an answer: in a part, and there at a byte. In a
// stream, whose parts are pieces, all text counts as that of the first part.
type textAt struct{ part, base int }

// add takes a citation of a text that r has measured. One without a place is
// about the whole text.
func (g *grounding) add(c *chat.Citation, r *ruler, at textAt) {
	if c.URL.Empty() && c.Title.Empty() && c.Quote.Empty() || g.count == maxCitations {
		return
	}
	g.count++
	chunk := g.chunk(c)
	from, to := 0, r.bytes
	if c.End > c.Start && !r.lost {
		from, to = r.bytesAt(c.Start), r.bytesAt(c.End)
	}
	if from >= to {
		return // There is no text.
	}
	if len(g.supports) > 0 {
		g.supports = append(g.supports, ',')
	}
	g.supports = append(g.supports, `{"segment":{`...)
	if at.part > 0 {
		g.supports = append(g.supports, `"partIndex":`...)
		g.supports = strconv.AppendInt(g.supports, int64(at.part), 10)
		g.supports = append(g.supports, ',')
	}
	g.supports = append(g.supports, `"startIndex":`...)
	g.supports = strconv.AppendInt(g.supports, int64(at.base+from), 10)
	g.supports = append(g.supports, `,"endIndex":`...)
	g.supports = strconv.AppendInt(g.supports, int64(at.base+to), 10)
	g.supports = append(g.supports, `},"groundingChunkIndices":[`...)
	g.supports = strconv.AppendInt(g.supports, int64(chunk), 10)
	g.supports = append(g.supports, "]}"...)
}

// text takes the citations of a text, which is a part of an answer.
func (g *grounding) text(b *chat.Block, part int) {
	if len(b.Citations) == 0 {
		return
	}
	var r ruler
	r.add(b.Text)
	for i := range b.Citations {
		g.add(&b.Citations[i], &r, textAt{part: part})
	}
}

// chunk returns the number of the chunk with the source of a citation.
func (g *grounding) chunk(c *chat.Citation) int {
	var text []byte
	member := func(name string, value chat.Literal) {
		if value.Empty() {
			return
		}
		if text[len(text)-1] != '{' {
			text = append(text, ',')
		}
		text = append(text, name...)
		text = append(text, value...)
	}
	if c.URL.Empty() {
		text = append(text, `{"retrievedContext":{`...)
	} else {
		text = append(text, `{"web":{`...)
		member(`"uri":`, c.URL)
	}
	member(`"title":`, c.Title)
	if c.URL.Empty() {
		member(`"text":`, c.Quote)
	}
	text = append(text, "}}"...)
	if i, ok := g.index[string(text)]; ok {
		return i
	}
	if g.index == nil {
		g.index = make(map[string]int)
	}
	i := len(g.index)
	g.index[string(text)] = i
	if i > 0 {
		g.chunks = append(g.chunks, ',')
	}
	g.chunks = append(g.chunks, text...)
	return i
}

// append appends the member of a candidate, behind another one; nothing if there
// are no citations.
func (g *grounding) append(dst []byte) []byte {
	if g.count == 0 {
		return dst
	}
	dst = append(dst, `,"groundingMetadata":{"groundingChunks":[`...)
	dst = append(dst, g.chunks...)
	dst = append(dst, `],"groundingSupports":[`...)
	dst = append(dst, g.supports...)
	return append(dst, "]}"...)
}

// keep copies what a citation views.
func keep(c *chat.Citation) chat.Citation {
	return chat.Citation{
		URL: bytes.Clone(c.URL), Title: bytes.Clone(c.Title), Quote: bytes.Clone(c.Quote),
		Start: c.Start, End: c.End,
	}
}
