package chat

import (
	"fmt"
	"strings"
	"testing"
)

// planned is a plan in short: for each turn its role and its pieces, with their
// forms if they are not AsIs, and behind a < the calls that they answer. Texts that
// are empty are not written.
func planned(turns ...Turn) (plan, lost string) {
	p := TakePlan()
	defer p.Release()
	var report Report
	p.Make(turns, &PlanRules{
		Keeps:   func(b *Block) bool { return !b.Text.Empty() },
		Kept:    func(b *Block) Literal { return b.ID },
		LeftOut: func(b *Block) { report.Add(Loss{Path: b.TypeName(), Reason: Unsupported}) },
		Questions: func(turns []Turn) {
			from := len(p.Pieces)
			p.AddResults(turns, report.Add)
			for t := range turns {
				for i := range turns[t].Blocks {
					switch b := &turns[t].Blocks[i]; {
					case b.Text.Empty():
					case b.Kind != ToolResult:
						p.Add(b, AsIs)
					case !p.Answers(b):
						p.Add(b, AsOrphan)
					}
				}
			}
			p.CloseTurn(User, from)
		},
	})
	var out []string
	for _, t := range p.Turns {
		s := map[Role]string{User: "u", Assistant: "a"}[t.Role]
		for i := range p.Pieces[t.From:t.To] {
			piece := &p.Pieces[t.From+i]
			s += " " + piece.Block.Kind.String() + string(piece.ID.Inner())
			if piece.Form != AsIs {
				s += fmt.Sprint("/", piece.Form)
			}
			if piece.IsResult() {
				s += "<" + string(piece.Call.ID.Inner())
			}
		}
		out = append(out, s)
	}
	return strings.Join(out, ", "), fmt.Sprint(report)
}

func TestPlan(t *testing.T) {
	text := Turn{Blocks: []Block{{Kind: Text, Text: Quote("x")}}}
	said := Turn{Role: Assistant, Blocks: text.Blocks}
	empty := Turn{Role: Assistant, Blocks: []Block{{Kind: Text}}}
	orphan, missing := fmt.Sprint("/", AsOrphan), fmt.Sprint("/", AsMissing)
	for _, tc := range []struct {
		name       string
		turns      []Turn
		want, lost string
	}{
		{"nothing", nil, "", "[]"},
		{"in turn", []Turn{text, said, text}, "u text, a text, u text", "[]"},
		{"neighbours", []Turn{text, text, said, said}, "u text text, a text text", "[]"},
		{"an answer that vanishes", []Turn{text, empty, text}, "u text text", "[]"},
		{"between answers", []Turn{said, empty, said}, "a text text", "[{text unsupported false}]"},
		{"results first", []Turn{called("a", "b"), text, answered("b", "a")}, "a text tool_usea tool_useb, u tool_resulta<a tool_resultb<b text", "[]"},
		{"no result at the end", []Turn{called("a")}, "a text tool_usea, u tool_usea" + missing + "<a", "[{tool_use (without a result) approximated false}]"},
		{"a result of no call", []Turn{said, answered("a")}, "a text, u tool_result" + orphan, "[]"},
		{"a result that is late", []Turn{called("a"), said, answered("a")}, "a text tool_usea text, u tool_resulta<a", "[]"},
		{"repeated", []Turn{called("a"), answered("a", "a")}, "a text tool_usea, u tool_resulta<a", "[{tool_result (repeated) unsupported false}]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, lost := planned(tc.turns...)
			if got != tc.want || lost != tc.lost {
				t.Errorf("got %s, %s; want %s, %s", got, lost, tc.want, tc.lost)
			}
		})
	}
}

func TestReportTellsALossOnce(t *testing.T) {
	var r Report
	for i := range 1000 {
		r.Add(Loss{Path: fmt.Sprint(i % 500), Reason: Unsupported})
	}
	if len(r) != maxLosses {
		t.Errorf("%d losses are told, want %d", len(r), maxLosses)
	}
	for range 2 {
		r.Add(Loss{Path: "meaning", Reason: Unsupported, Meaning: true})
	}
	if len(r) != maxLosses+1 {
		t.Errorf("a loss of meaning is told %d times", len(r)-maxLosses)
	}
}
