package openai

import (
	"bytes"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// citationIn reads an annotation of a text. Those that cite no page are kept as
// they are.
func citationIn(v tape.Value) chat.Citation {
	c := chat.Citation{Raw: v.Raw(), Origin: originResponses}
	if !v.Member("type").Is("url_citation") {
		return c
	}
	c.URL, c.Title = v.Member("url").Literal(), v.Member("title").Literal()
	from, _ := v.Member("start_index").Int()
	to, _ := v.Member("end_index").Int()
	if 0 <= from && from <= to && to <= maxCharacters {
		c.Start, c.End = int(from), int(to)
	}
	return c
}

// maxCitations is how many citations of a text are kept.
const maxCitations = 1024

// maxCharacters is more characters than any answer has.
const maxCharacters = 1 << 30

// appendAnnotation appends a citation of a text as an annotation. ok is false, and
// nothing is appended, if it cites no page and is of another format. text is the
// text so far, escaped and without quotes: a citation that does not say which part
// of it is meant is about all of it.
func appendAnnotation(dst []byte, c *chat.Citation, text []byte) (out []byte, ok bool) {
	switch {
	case !canAnnotate(c):
		return dst, false
	case isAnnotation(c):
		return appendOneLine(dst, c.Raw), true
	}
	from, to := c.Start, c.End
	if from == 0 && to == 0 {
		to = characters(text)
	}
	dst = append(dst, `{"type":"url_citation","start_index":`...)
	dst = appendCount(dst, "", int64(from))
	dst = appendCount(dst, `,"end_index":`, int64(to))
	dst = append(dst, `,"url":`...)
	dst = append(dst, c.URL...)
	dst = append(dst, `,"title":`...)
	dst = append(dst, c.Title.OrEmpty()...)
	return append(dst, '}'), true
}

// isAnnotation says that a citation came as an annotation of this format.
func isAnnotation(c *chat.Citation) bool { return c.Origin == originResponses && c.Raw != nil }

// canAnnotate says that a citation can be told as an annotation.
func canAnnotate(c *chat.Citation) bool { return isAnnotation(c) || !c.URL.Empty() }

// characters counts the characters of a text that is escaped and without quotes.
func characters(text []byte) int {
	if bytes.IndexByte(text, '\\') < 0 {
		return utf8.RuneCount(text)
	}
	quoted := append(append([]byte{'"'}, text...), '"')
	return utf8.RuneCount(chat.AppendUnquoted(nil, quoted))
}

// elements returns what stands between the brackets of a raw array; nil if there
// is nothing.
func elements(array chat.Raw) []byte {
	inner := bytes.TrimSpace(array)
	if len(inner) < 2 || inner[0] != '[' {
		return nil
	}
	return bytes.TrimSpace(inner[1 : len(inner)-1])
}

// logprobsIn are the probabilities in a part or an event; nil if there are none.
func logprobsIn(v tape.Value) chat.Raw {
	if v.Kind() != tape.Array || v.Len() == 0 {
		return nil
	}
	return v.Raw()
}
