package format

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

const frame = `{"id":"c","choices":[{"delta":{"content":"TEXT"},"finish_reason":null}]}`

// learnt is a template of the frame.
func learnt() *Template {
	start := strings.Index(frame, `"TEXT"`)
	t := new(Template)
	t.Learn([]byte(frame), start, start+len(`"TEXT"`))
	return t
}

func TestTemplate(t *testing.T) {
	for _, tc := range []struct {
		name, doc string
		want      bool
	}{
		{"the same", frame, true},
		{"another text", strings.Replace(frame, "TEXT", "hello, 世界 😀", 1), true},
		{"no text", strings.Replace(frame, "TEXT", "", 1), true},
		{"escape", strings.Replace(frame, "TEXT", `a\n`, 1), false},
		{"quote", strings.Replace(frame, "TEXT", `","finish_reason":"stop","x":"`, 1), false},
		{"control character", strings.Replace(frame, "TEXT", "a\tb", 1), false},
		{"not UTF-8", strings.Replace(frame, "TEXT", "a\xff", 1), false},
		{"cut character", strings.Replace(frame, "TEXT", "\xe4\xb8", 1), false},
		{"other end", strings.Replace(frame, "null", `"stop"`, 1), false},
		{"other start", strings.Replace(frame, `"c"`, `"d"`, 1), false},
		{"too short", frame[:len(frame)/2], false},
		{"head and tail overlap", frame[:strings.Index(frame, "TEXT")] + frame[strings.Index(frame, "TEXT")+len(`TEXT"`):], false},
		{"empty", "", false},
	} {
		if got := learnt().Matches([]byte(tc.doc)); got != tc.want {
			t.Errorf("%s: %t, want %t", tc.name, got, tc.want)
		}
	}
	if new(Template).Matches([]byte(frame)) || new(Template).Matches(nil) {
		t.Error("an empty template matches")
	}
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{"", "hello", "\"", "\\", "\\n", "é", "\xff", "a\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc := strings.Replace(frame, "TEXT", text, 1)
		if !learnt().Matches([]byte(doc)) {
			return
		}
		var got struct {
			Choices []struct {
				Delta        struct{ Content string }
				FinishReason *string `json:"finish_reason"`
			}
		}
		if err := json.Unmarshal([]byte(doc), &got); err != nil || !utf8.ValidString(doc) {
			t.Fatalf("%q matches and is not JSON: %v", doc, err)
		}
		if len(got.Choices) != 1 || got.Choices[0].FinishReason != nil || got.Choices[0].Delta.Content != text {
			t.Errorf("%q means something else: %+v", doc, got)
		}
	})
}
