package gemini

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/formattest"
)

func TestPartialArgs(t *testing.T) {
	const piece = `{"jsonPath":"%s","%s":%s}`
	var deep strings.Builder
	for range maxArgDepth + 1 {
		deep.WriteString(".a")
	}
	for _, tc := range []struct {
		name   string
		pieces []string
		want   string // empty if they are refused
	}{
		{"nothing", nil, `{}`},
		{"text in pieces", []string{fmt.Sprintf(piece, "$.a", "stringValue", `"x\n"`), fmt.Sprintf(piece, "$.a", "stringValue", `"\"y"`)}, `{"a":"x\n\"y"}`},
		{"empty text", []string{`{"jsonPath":"$.a"}`}, `{"a":""}`},
		{"kinds", []string{fmt.Sprintf(piece, "$.n", "numberValue", `1e400`), fmt.Sprintf(piece, "$.b", "boolValue", `true`), fmt.Sprintf(piece, "$.z", "nullValue", `null`)}, `{"n":1e400,"b":true,"z":null}`},
		{"a number again", []string{fmt.Sprintf(piece, "$.n", "numberValue", `1`), fmt.Sprintf(piece, "$.n", "numberValue", `12`)}, `{"n":12}`},
		{"nested", []string{fmt.Sprintf(piece, "$.l[0][0]", "numberValue", `1`), fmt.Sprintf(piece, "$.l[0][1]", "numberValue", `2`), fmt.Sprintf(piece, "$.l[1]['x.y'].z", "stringValue", `"q"`)}, `{"l":[[1,2],{"x.y":{"z":"q"}}]}`},
		{"snake case", []string{`{"json_path":"$['\"k']","string_value":"v"}`}, `{"\"k":"v"}`},
		{"no path", []string{`{"stringValue":"x"}`}, ``},
		{"the root", []string{fmt.Sprintf(piece, "$", "stringValue", `"x"`)}, ``},
		{"root as an array", []string{fmt.Sprintf(piece, "$[0]", "stringValue", `"x"`)}, `{}`},
		{"a gap", []string{fmt.Sprintf(piece, "$.l[1]", "stringValue", `"x"`)}, ``},
		{"a huge index", []string{fmt.Sprintf(piece, "$.l[99999999999999999999]", "stringValue", `"x"`)}, ``},
		{"not closed", []string{fmt.Sprintf(piece, "$.l[0", "stringValue", `"x"`)}, ``},
		{"no name", []string{fmt.Sprintf(piece, "$.", "stringValue", `"x"`)}, ``},
		{"below a text", []string{fmt.Sprintf(piece, "$.a", "stringValue", `"x"`), fmt.Sprintf(piece, "$.a.b", "stringValue", `"x"`)}, ``},
		{"text and number", []string{fmt.Sprintf(piece, "$.a", "stringValue", `"x"`), fmt.Sprintf(piece, "$.a", "numberValue", `1`)}, ``},
		{"too deep", []string{fmt.Sprintf(piece, "$"+deep.String(), "stringValue", `"x"`)}, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var p partialCall
			var err error
			for _, piece := range tc.pieces {
				if err = p.take(formattest.Parse(t, `{"partialArgs":[`+piece+`]}`)); err != nil {
					break
				}
			}
			if tc.want == "" {
				var e *chat.Error
				if !errors.As(err, &e) || e.Kind != chat.ErrBadUpstream {
					t.Errorf("got %v and %s", err, p.arguments())
				}
				return
			}
			if got := string(p.arguments()); err != nil || got != tc.want {
				t.Errorf("got %s, %v; want %s", got, err, tc.want)
			}
		})
	}
}

func TestPartialArgsAreBounded(t *testing.T) {
	var many partialCall
	var err error
	for i := 0; err == nil && i <= maxArgNodes; i++ {
		err = many.take(formattest.Parse(t, fmt.Sprintf(`{"partialArgs":[{"jsonPath":"$.a%d.b","numberValue":1}]}`, i)))
	}
	if err == nil {
		t.Error("a call has any number of arguments")
	}
	var large partialCall
	text := `{"partialArgs":[{"jsonPath":"$.a","stringValue":"` + strings.Repeat("x", maxHeld/4) + `"}]}`
	for i := 0; err == nil && i < 5; i++ {
		err = large.take(formattest.Parse(t, text))
	}
	if err == nil {
		t.Error("a call is as large as it likes")
	}
}
