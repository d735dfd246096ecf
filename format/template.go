package format

import (
	"bytes"
	"unicode/utf8"
)

// Template recognises documents that differ from an earlier one in the text of
// one string only, as the events of a stream do. Such a document is valid JSON
// and means the same as the earlier one, so it need not be parsed to know that.
// The zero value recognises nothing.
type Template struct {
	doc      []byte
	from, to int       // the text of the string
	few      [512]byte // where doc begins, so that most cost no allocation
}

// Learn remembers a valid document, in which a string stands at doc[start:end],
// with its quotes.
func (t *Template) Learn(doc []byte, start, end int) {
	if t.doc == nil {
		t.doc = t.few[:0]
	}
	t.doc = append(t.doc[:0], doc...)
	t.from, t.to = start+1, end-1
}

// Matches says that doc differs from the learnt document in that string's text
// at most, and that the text is a plain one, without escapes.
func (t *Template) Matches(doc []byte) bool {
	head, tail := t.doc[:t.from], t.doc[t.to:]
	return len(tail) > 0 && len(doc) >= len(head)+len(tail) &&
		bytes.HasPrefix(doc, head) && bytes.HasSuffix(doc, tail) &&
		isPlain(doc[len(head):len(doc)-len(tail)])
}

// isPlain says that text may stand between the quotes of a string as it is.
func isPlain(text []byte) bool {
	ascii := true
	for _, c := range text {
		if c < ' ' || c == '"' || c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(text)
}
