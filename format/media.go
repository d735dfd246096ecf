package format

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// Base64Text returns the base64 text between the quotes of a literal, in whichever
// of its alphabets it is: a view, unless it holds escapes, as PHP writes a slash;
// then also without white space. ok is false if it is empty or, as far as that can
// be seen without a look at megabytes, something else.
func Base64Text(l chat.Literal) (data []byte, ok bool) {
	data = l.Inner()
	if bytes.IndexByte(data, '\\') < 0 {
		return data, len(data) > 0
	}
	kept := chat.AppendUnquoted(make([]byte, 0, len(data)), l)
	n := 0
	for _, c := range kept {
		switch {
		case 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '+', c == '/', c == '=', c == '-', c == '_':
			kept[n] = c
			n++
		case c == '\r', c == '\n', c == ' ', c == '\t':
		default:
			return nil, false
		}
	}
	return kept[:n], true
}

// DecodeBase64 decodes base64 text in any of its spellings: of either alphabet,
// with or without padding. With an error it returns what stands before the fault.
func DecodeBase64(text []byte) ([]byte, error) {
	text = bytes.TrimRight(text, "=")
	encoding := base64.RawStdEncoding
	if bytes.IndexByte(text, '-') >= 0 || bytes.IndexByte(text, '_') >= 0 {
		encoding = base64.RawURLEncoding
	}
	out := make([]byte, encoding.DecodedLen(len(text)))
	n, err := encoding.Decode(out, text)
	return out[:n], err
}

// magic are characters at the beginning of files in base64, and behind them.
var magic = []struct {
	prefix string
	// behind stands from byte 11 on: sounds and films begin like WebP.
	behind    string
	mediaType string
}{
	{"iVBORw0KGgo", "", "image/png"},
	{"/9j/", "", "image/jpeg"},
	{"R0lGOD", "", "image/gif"},
	{"UklGR", "XRUJQ", "image/webp"},
	{"JVBERi", "", "application/pdf"},
}

// MediaType corrects the media type of an image or a PDF, which is in lower case
// or empty, after its first bytes in base64: clients often get it wrong, and some
// upstreams check it. Other types are returned as they are.
func MediaType(mediaType string, data []byte) string {
	if mediaType != "" && !strings.HasPrefix(mediaType, "image/") && mediaType != "application/pdf" {
		return mediaType
	}
	for _, m := range magic {
		if hasAt(data, 0, m.prefix) && (m.behind == "" || hasAt(data, 11, m.behind)) {
			return m.mediaType
		}
	}
	if mediaType == "image/jpg" {
		return "image/jpeg"
	}
	return mediaType
}

// hasAt says that text stands at a place of data.
func hasAt(data []byte, at int, text string) bool {
	return len(data) >= at+len(text) && string(data[at:at+len(text)]) == text
}
