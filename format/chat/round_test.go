package chat

import (
	"fmt"
	"strings"
	"testing"
)

// called is an answer with calls of these ids, and answered a turn with results
// that say in which place they stand.
func called(ids ...string) Turn {
	t := Turn{Role: Assistant, Blocks: []Block{{Kind: Text, Text: Quote("x")}}}
	for _, id := range ids {
		t.Blocks = append(t.Blocks, Block{Kind: ToolUse, ID: Quote(id), Name: Quote("f")})
	}
	return t
}

func answered(ids ...string) Turn {
	t := Turn{Role: User}
	for i, id := range ids {
		t.Blocks = append(t.Blocks, Block{Kind: ToolResult, ID: Quote(id), Text: Quote(fmt.Sprint(i))})
	}
	return t
}

func TestRound(t *testing.T) {
	many := strings.Fields("a b c d e f g h i j k l")
	for _, tc := range []struct {
		name     string
		calls    []string
		results  []string
		want     string // the place of each call's result
		repeated bool
		orphans  int
	}{
		{"in order", []string{"a", "b"}, []string{"a", "b"}, "0 1", false, 0},
		{"in another order", []string{"a", "b"}, []string{"b", "a"}, "1 0", false, 0},
		{"missing", []string{"a", "b"}, []string{"b"}, "- 0", false, 0},
		{"repeated", []string{"a"}, []string{"a", "a"}, "1", true, 0},
		{"of no call", []string{"a"}, []string{"z", "a"}, "1", false, 1},
		{"without ids", []string{"", "a", ""}, []string{"", "a", "", ""}, "0 1 2", false, 1},
		{"no calls", nil, []string{"a", ""}, "", false, 2},
		{"many", many, []string{"l", "a", "z"}, "1 - - - - - - - - - - 0", false, 1},
		{"many of one id", strings.Fields("a a a a a a a a a a"), []string{"a"}, "0 - - - - - - - - -", false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var r Round
			r.Begin([]Turn{called("old", "older")})
			r.Begin([]Turn{called(tc.calls...)})
			turns := []Turn{answered(tc.results...)}
			if got := r.Match(turns); got != tc.repeated {
				t.Errorf("repeated: %v", got)
			}
			got := make([]string, 0, len(tc.calls))
			for _, b := range r.Results() {
				if b == nil {
					got = append(got, "-")
				} else {
					got = append(got, b.Text.String())
				}
			}
			if strings.Join(got, " ") != tc.want {
				t.Errorf("got %v, want %s", got, tc.want)
			}
			orphans := 0
			for i := range turns[0].Blocks {
				if !r.Answers(&turns[0].Blocks[i]) {
					orphans++
				}
			}
			if orphans != tc.orphans {
				t.Errorf("%d results are of no call, want %d", orphans, tc.orphans)
			}
		})
	}
}
