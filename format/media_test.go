package format_test

import (
	"encoding/base64"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

func TestMediaTypeFollowsTheFirstBytes(t *testing.T) {
	in64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	riff := func(kind string) string { return in64("RIFF\x10\x20\x30\x00" + kind + "more of it") }
	for _, tc := range []struct{ name, mediaType, data, want string }{
		{"right", "image/png", in64("\x89PNG\r\n\x1a\n..."), "image/png"},
		{"a PNG that is called JPEG", "image/jpeg", in64("\x89PNG\r\n\x1a\n..."), "image/png"},
		{"a PDF that is called an image", "image/png", in64("%PDF-1.7"), "application/pdf"},
		{"unsaid", "", in64("GIF89a"), "image/gif"},
		{"WebP", "image/png", riff("WEBP"), "image/webp"},
		{"a sound that begins like WebP", "", riff("WAVE"), ""},
		{"a sound", "audio/wav", in64("\x89PNG\r\n\x1a\n..."), "audio/wav"},
		{"a wrong name", "image/jpg", "AAAA", "image/jpeg"},
		{"nothing known", "image/tiff", "AAAA", "image/tiff"},
		{"short", "image/png", "iVB", "image/png"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := format.MediaType(tc.mediaType, []byte(tc.data)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestBase64Text(t *testing.T) {
	for _, tc := range []struct {
		name, text, want string
		ok               bool
	}{
		{"plain", `"QUJD"`, "QUJD", true},
		{"escaped slash", `"QU\/D"`, "QU/D", true},
		{"line breaks", `"QU\r\nJD"`, "QUJD", true},
		{"the other alphabet", `"Q_-D"`, "Q_-D", true},
		{"empty", `""`, "", false},
		{"absent", ``, "", false},
		{"an escaped quote", `"QU\"D"`, "", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, ok := format.Base64Text(chat.Literal(tc.text))
			if string(got) != tc.want || ok != tc.ok {
				t.Errorf("got %q, %v; want %q, %v", got, ok, tc.want, tc.ok)
			}
		})
	}
	for text, want := range map[string]string{"QUI=": "AB", "QUI": "AB", "--__": "\xfb\xef\xff", "++//": "\xfb\xef\xff", "": ""} {
		if got, err := format.DecodeBase64([]byte(text)); err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", text, got, err, want)
		}
	}
	if got, err := format.DecodeBase64([]byte("QUJD!")); err == nil || string(got) != "ABC" {
		t.Errorf("a broken text is %q, %v", got, err)
	}
}
