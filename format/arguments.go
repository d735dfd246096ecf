package format

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// AppendObject appends the arguments of a call as the object that some formats
// demand. What is no object is wrapped into one, as its member "_raw"; whole is
// false then.
func AppendObject(dst []byte, a chat.Arguments) (out []byte, whole bool) {
	switch {
	case len(a.Object) > 0:
		if a.Object[0] == '{' {
			return append(dst, a.Object...), true
		}
		dst = append(dst, `{"_raw":`...)
		dst = chat.AppendQuoted(dst, []byte(a.Object))
		return append(dst, '}'), false
	case a.Text.Blank():
		return append(dst, "{}"...), true
	}
	from := len(dst)
	dst = chat.AppendUnquoted(dst, a.Text)
	if IsObject(dst[from:]) {
		return dst, true
	}
	dst = append(dst[:from], `{"_raw":`...)
	dst = append(dst, a.Text...)
	return append(dst, '}'), false
}

// IsObject says that text is a JSON object.
func IsObject(text []byte) bool {
	t := tape.Take()
	defer t.Release()
	return t.Parse(text) == nil && t.Root().Kind() == tape.Object
}
