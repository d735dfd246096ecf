package anthropic

import (
	"bytes"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// maxCitations is how many citations of one text are read.
const maxCitations = 1024

// citationsOf reads the citations of a text.
func citationsOf(v tape.Value) []chat.Citation {
	if v.Kind() != tape.Array || v.Len() == 0 {
		return nil
	}
	list := make([]chat.Citation, 0, min(v.Len(), 16))
	for element := range v.Elements {
		if element.Kind() == tape.Object && len(list) < maxCitations {
			list = append(list, citationOf(element))
		}
	}
	return list
}

// citationOf reads a citation of any type: of a page, of a search result that the
// client gave, or of a document in the request.
func citationOf(v tape.Value) chat.Citation {
	c := chat.Citation{Raw: v.Raw(), Origin: origin, Quote: v.Member("cited_text").Literal()}
	c.URL = v.Member("url").Literal()
	if source := v.Member("source").Literal(); c.URL == nil && bytes.HasPrefix(source.Inner(), []byte("http")) {
		c.URL = source
	}
	for _, key := range [...]string{"title", "document_title"} {
		if c.Title == nil {
			c.Title = v.Member(key).Literal()
		}
	}
	return c
}

// appendCitations appends the citations of a text as a member behind others,
// nothing if the format has a place for none of them.
func appendCitations(dst []byte, list []chat.Citation, report *chat.Report) []byte {
	separator := `,"citations":[`
	for i := range list {
		c := &list[i]
		if !citable(c) {
			report.Drop("content.citations")
			continue
		}
		dst = append(dst, separator...)
		separator = ","
		dst = appendCitation(dst, c)
	}
	if separator == "," {
		dst = append(dst, ']')
	}
	return dst
}

// citable says that the format has a place for a citation: one of its own, or one
// of a page.
func citable(c *chat.Citation) bool {
	return c.Origin == origin && len(c.Raw) > 0 || !c.URL.Empty()
}

// appendCitation appends a citation. One of another format has no
// encrypted_index, by which Anthropic would find the page again; the SDKs want
// the key to be there.
func appendCitation(dst []byte, c *chat.Citation) []byte {
	if c.Origin == origin && len(c.Raw) > 0 {
		return chat.AppendLine(dst, c.Raw)
	}
	dst = append(dst, `{"type":"web_search_result_location","cited_text":`...)
	dst = append(dst, c.Quote.OrEmpty()...)
	dst = append(dst, `,"encrypted_index":"","title":`...)
	if c.Title == nil {
		dst = append(dst, "null"...)
	} else {
		dst = append(dst, c.Title...)
	}
	dst = append(dst, `,"url":`...)
	dst = append(dst, c.URL...)
	return append(dst, '}')
}
