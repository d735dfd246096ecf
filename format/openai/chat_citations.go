package openai

import (
	"bytes"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// pageIn reads an annotation that cites a page; ok is false for others. The place
// in the text is read if the annotation and the block mean the same text.
func pageIn(v tape.Value, placed bool) (c chat.Citation, ok bool) {
	page := v.Member("url_citation")
	c.URL, c.Title = page.Member("url").Literal(), page.Member("title").Literal()
	if c.URL.Empty() {
		return c, false
	}
	c.Quote = page.Member("content").Literal() // OpenRouter
	from, _ := page.Member("start_index").Int()
	to, _ := page.Member("end_index").Int()
	if placed && 0 <= from && from <= to && to <= maxCharacters {
		c.Start, c.End = int(from), int(to)
	}
	return c, true
}

// appendPage appends a citation of a text as an annotation. before is the number
// of characters that the message has in front of the text, length that of the
// text: a citation that does not say which part of it is meant is about all of it.
func appendPage(dst []byte, c *chat.Citation, before, length int) []byte {
	from, to := c.Start, c.End
	if from == 0 && to == 0 {
		to = length
	}
	dst = appendCount(dst, `{"type":"url_citation","url_citation":{"start_index":`, int64(before+from))
	dst = appendCount(dst, `,"end_index":`, int64(before+to))
	dst = append(append(dst, `,"url":`...), c.URL...)
	dst = append(append(dst, `,"title":`...), c.Title.OrEmpty()...)
	return append(dst, "}}"...)
}

// appendAnnotations appends the pages that the texts of an answer cite as a
// member of the message. Citations of other things are reported.
func appendAnnotations(dst []byte, blocks []chat.Block, report *chat.Report) []byte {
	if !anyCitation(blocks) {
		return dst
	}
	before, separator := 0, `,"annotations":[`
	for i := range blocks {
		b := &blocks[i]
		if b.Kind != chat.Text {
			continue
		}
		length := charactersOf(b.Text.Inner())
		for j := range b.Citations {
			c := &b.Citations[j]
			if c.URL.Empty() {
				dropOnce(report, "citations")
				continue
			}
			dst = appendPage(append(dst, separator...), c, before, length)
			separator = ","
		}
		before += length
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return dst
}

// anyCitation says that one of the texts cites something.
func anyCitation(blocks []chat.Block) bool {
	for i := range blocks {
		if len(blocks[i].Citations) > 0 {
			return true
		}
	}
	return false
}

// dropOnce reports a field that was left out, once.
func dropOnce(report *chat.Report, path string) {
	for _, l := range *report {
		if l.Path == path {
			return
		}
	}
	report.Drop(path)
}

// charactersOf counts the characters of a text that is escaped and without quotes.
// It does not allocate.
func charactersOf(text []byte) (n int) {
	for {
		escape := bytes.IndexByte(text, '\\')
		if escape < 0 {
			return n + utf8.RuneCount(text)
		}
		n += utf8.RuneCount(text[:escape]) + 1
		text = text[escape:]
		length := 2
		if len(text) > 1 && text[1] == 'u' {
			length = 6
			if len(text) >= 12 && highSurrogate(text) && text[6] == '\\' && text[7] == 'u' {
				length = 12
			}
		}
		text = text[min(length, len(text)):]
	}
}

// highSurrogate says that a \u escape is the first half of a pair.
func highSurrogate(escape []byte) bool {
	return (escape[2] == 'd' || escape[2] == 'D') &&
		(escape[3] == '8' || escape[3] == '9' || escape[3]|0x20 == 'a' || escape[3]|0x20 == 'b')
}
