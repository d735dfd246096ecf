package openai

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// notBase64 says what must be where base64 text is expected.
const notBase64 = "base64 text"

// sourceOf reads an address, which may be a data URI. A problem is told as what
// the address must be instead.
func sourceOf(l chat.Literal) (s chat.Source, problem string) {
	address := l.Inner()
	if !isData(address) {
		return chat.Source{Kind: chat.SourceURL, Data: l.Unescaped()}, ""
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
	var ok bool
	if s.Data, ok = format.Base64Text(data); !ok {
		problem = notBase64
	}
	s.MediaType = format.MediaType(mediaType, s.Data)
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
	data, err := url.PathUnescape(string(l.Unescaped()))
	if err != nil {
		return s, "a data URI with well-formed escapes"
	}
	return chat.Source{Kind: chat.SourceText, MediaType: mediaType, Data: []byte(data)}, ""
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
