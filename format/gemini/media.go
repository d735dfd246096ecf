package gemini

import (
	"bytes"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// inlineData reads bytes that stand in the request.
func inlineData(b *chat.Block, v tape.Value, p place) error {
	s := &b.Source
	s.Kind = chat.SourceBase64
	var data, mime tape.Value
	err := p.members(v, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "mimeType":
			mime = v
		case "data":
			data = v
		case "displayName":
			b.Filename = v.Literal()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if data.Literal().Empty() {
		return p.mustBe(".data", "base64 text")
	}
	if s.Data = base64Text(data.Literal()); s.Data == nil {
		return p.mustBe(".data", "base64 text")
	}
	s.MediaType = format.MediaType(strings.ToLower(mime.Text()), s.Data)
	if s.MediaType == "" {
		return p.mustBe(".mimeType", "a media type")
	}
	b.Kind = kindOf(s.MediaType)
	return nil
}

// fileData reads where bytes are that stand elsewhere. Files of Google's own are
// known to Google only.
func fileData(b *chat.Block, v tape.Value, p place) error {
	s := &b.Source
	err := p.members(v, func(word []byte, v tape.Value) error {
		switch string(word) {
		case "mimeType":
			s.MediaType = strings.ToLower(v.Text())
		case "fileUri":
			s.Data = v.Literal().Unescaped()
		case "displayName":
			b.Filename = v.Literal()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(s.Data) == 0 {
		return p.mustBe(".fileUri", "a URI")
	}
	s.Kind = chat.SourceURL
	switch {
	case isYouTube(s.Data):
		b.Kind = chat.Video
		return nil
	case isGoogles(s.Data):
		s.Kind, s.Origin = chat.SourceFile, origin
	}
	mime := s.MediaType
	if mime == "" {
		mime = mimeOfName(s.Data)
	}
	b.Kind = kindOf(mime)
	return nil
}

// kindOf is the kind of the block that holds something of a media type.
func kindOf(mime string) chat.BlockKind {
	switch family, _, _ := strings.Cut(mime, "/"); family {
	case "image":
		return chat.Image
	case "audio":
		return chat.Audio
	case "video":
		return chat.Video
	default:
		return chat.Document
	}
}

// hasAnyPrefix says that a URI begins with one of several texts, in any case.
func hasAnyPrefix(uri []byte, prefixes ...string) bool {
	for _, p := range prefixes {
		if len(uri) >= len(p) && strings.EqualFold(string(uri[:len(p)]), p) {
			return true
		}
	}
	return false
}

// isYouTube says that a URI is a film at YouTube, which Gemini takes.
func isYouTube(uri []byte) bool {
	return hasAnyPrefix(uri, "https://www.youtube.com/", "https://youtube.com/", "https://m.youtube.com/", "https://youtu.be/")
}

// isGoogles says that a URI is a file that Google keeps: one of the Files API,
// or of Cloud Storage.
func isGoogles(uri []byte) bool {
	return hasAnyPrefix(uri, "gs://", "https://generativelanguage.googleapis.com/", "files/")
}

// extensions are the media types of names.
var extensions = map[string]string{
	"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "webp": "image/webp",
	"heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf", "txt": "text/plain", "md": "text/markdown",
	"html": "text/html", "csv": "text/csv", "json": "application/json", "mp3": "audio/mp3", "wav": "audio/wav",
	"flac": "audio/flac", "ogg": "audio/ogg", "m4a": "audio/mp4", "mp4": "video/mp4", "mov": "video/quicktime", "webm": "video/webm",
}

// mimeOfName guesses a media type after the extension of a URI; empty if it does
// not tell.
func mimeOfName(uri []byte) string {
	if i := bytes.IndexAny(uri, "?#"); i >= 0 {
		uri = uri[:i]
	}
	dot := bytes.LastIndexByte(uri, '.')
	if dot < 0 || len(uri)-dot > 6 {
		return ""
	}
	return extensions[strings.ToLower(string(uri[dot+1:]))]
}

// base64Text returns the base64 text of a literal in the standard alphabet: a view,
// unless it has escapes or is written in the alphabet for URLs, which Google's
// servers take too. nil if it is no base64 text.
func base64Text(l chat.Literal) []byte {
	data, ok := format.Base64Text(l)
	if !ok || bytes.IndexByte(data, '-') < 0 && bytes.IndexByte(data, '_') < 0 {
		return data
	}
	kept := make([]byte, 0, len(data)+2)
	for _, c := range data {
		switch c {
		case '-':
			c = '+'
		case '_':
			c = '/'
		case ' ':
			continue
		}
		kept = append(kept, c)
	}
	for len(kept)%4 != 0 {
		kept = append(kept, '=')
	}
	return kept
}
