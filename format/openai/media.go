package openai

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// notBase64 says what must be where base64 text is expected.
const notBase64 = "base64 text"

// sourceOf reads an address, which may be a data URI. A problem is told as what
// the address must be instead.
func sourceOf(l chat.Literal) (s chat.Source, problem string) {
	address := l.Inner()
	if !isData(address) {
		return chat.Source{Kind: chat.SourceURL, Data: unescaped(l)}, ""
	}
	// The data may be megabytes: look for escapes in the head first.
	comma := bytes.IndexByte(address, ',')
	if comma < 0 {
		return s, "a data URI with a comma before its data"
	}
	head := string(address[len("data:"):comma])
	if strings.Contains(head, `\`) {
		head = chat.Literal(`"` + head + `"`).String()
	}
	mediaType, parameters, _ := strings.Cut(head, ";")
	mediaType = strings.ToLower(strings.TrimSpace(mediaType))
	if mediaType == "" {
		mediaType = "text/plain"
	}
	if !token(mediaType) {
		return s, "a data URI with a media type such as image/png"
	}
	// A piece of a literal between quotes is a literal again.
	data := l[1+comma : len(l) : len(l)]
	if !isBase64(parameters) {
		return plainData(mediaType, data)
	}
	s = chat.Source{Kind: chat.SourceBase64}
	s.Data, problem = base64Text(data)
	s.MediaType = sniff(mediaType, s.Data)
	return s, problem
}

// isData says that an address is a data URI.
func isData(address []byte) bool {
	return len(address) >= len("data:") && bytes.EqualFold(address[:len("data:")], []byte("data:"))
}

// isBase64 says that base64 is among a data URI's parameters.
func isBase64(parameters string) bool {
	for p := range strings.SplitSeq(parameters, ";") {
		if strings.EqualFold(strings.TrimSpace(p), "base64") {
			return true
		}
	}
	return false
}

// plainData reads data that is not base64, which only text may be.
func plainData(mediaType string, l chat.Literal) (s chat.Source, problem string) {
	if !strings.HasPrefix(mediaType, "text/") {
		return s, "a data URI with ;base64 before its data"
	}
	data, err := url.PathUnescape(string(unescaped(l)))
	if err != nil {
		return s, "a data URI with well-formed escapes"
	}
	return chat.Source{Kind: chat.SourceText, MediaType: mediaType, Data: []byte(data)}, ""
}

// base64Text returns the text between the quotes: a view, unless it holds
// escapes, as PHP writes a slash.
func base64Text(l chat.Literal) (data []byte, problem string) {
	data = l.Inner()
	if len(data) == 0 {
		return nil, notBase64
	}
	if bytes.IndexByte(data, '\\') < 0 {
		return data, ""
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
			return nil, notBase64
		}
	}
	return kept[:n], ""
}

// magic are the first characters of files in base64.
var magic = []struct{ prefix, mediaType string }{
	{"iVBORw0KGgo", "image/png"},
	{"/9j/", "image/jpeg"},
	{"R0lGOD", "image/gif"},
	{"UklGR", "image/webp"},
	{"JVBERi", "application/pdf"},
}

// sniff corrects the media type of an image or a PDF after its first bytes:
// clients often get it wrong, and some upstreams check it.
func sniff(mediaType string, data []byte) string {
	if !strings.HasPrefix(mediaType, "image/") && mediaType != "application/pdf" {
		return mediaType
	}
	for _, m := range magic {
		if len(data) >= len(m.prefix) && string(data[:len(m.prefix)]) == m.prefix {
			return m.mediaType
		}
	}
	return mediaType
}

// token says that a media type consists of harmless characters.
func token(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$&^_.+-/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
