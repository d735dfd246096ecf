package chat

import (
	"reflect"
	"testing"
)

func TestNamesComeBack(t *testing.T) {
	var n Names
	n.Add("short", Quote("the long name"))
	if got := n.Original(Quote("short")); !got.Is("the long name") {
		t.Errorf("got %s", got)
	}
	if got := n.Original(Quote("other")); !got.Is("other") {
		t.Errorf("got %s", got)
	}
	var none *Names
	none.Add("a", Quote("b"))
	if got := none.Original(Quote("a")); !got.Is("a") {
		t.Errorf("got %s", got)
	}
}

// output is an answer whose text is the arguments of a tool.
func output(arguments Arguments) *Response {
	return &Response{
		ID: Quote("m"), Model: Quote("m"),
		Blocks: []Block{
			{Kind: Thinking, Text: Quote("hm")},
			{Kind: ToolUse, ID: Quote("c"), Name: Quote("response"), Arguments: arguments},
		},
		Stop: Stop{Reason: StopToolUse},
	}
}

func TestRestore(t *testing.T) {
	for _, tc := range []struct {
		name      string
		arguments Arguments
		want      string
	}{
		{"object", Arguments{Object: Raw(`{"a":"b"}`)}, `{"a":"b"}`},
		{"text", Arguments{Text: Quote(`{"a":1}`)}, `{"a":1}`},
		{"none", Arguments{}, `{}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var n Names
			if !n.SetOutputTool("response") {
				t.Fatal("the answer cannot be turned back")
			}
			whole := output(tc.arguments)
			n.Restore(whole)
			want := []Block{{Kind: Thinking, Text: Quote("hm")}, {Kind: Text, Text: Quote(tc.want)}}
			if !reflect.DeepEqual(whole.Blocks, want) || whole.Stop.Reason != StopEnd {
				t.Errorf("answer: %+v", whole)
			}
			var c Collector
			for ev := range output(tc.arguments).Replay {
				events := n.RestoreEvents([]Event{*ev})
				for i := range events {
					c.Add(&events[i])
				}
			}
			streamed, err := c.Response()
			if err != nil || !reflect.DeepEqual(streamed.Blocks, want) || streamed.Stop.Reason != StopEnd {
				t.Errorf("stream: %+v, %v", streamed, err)
			}
		})
	}
}

func TestRestoreLeavesOthersAlone(t *testing.T) {
	var with Names
	with.SetOutputTool("another")
	var none *Names
	if none.SetOutputTool("x") {
		t.Error("nil can turn an answer back")
	}
	for _, n := range []*Names{nil, {}, &with} {
		r, want := output(Arguments{Object: Raw("{}")}), output(Arguments{Object: Raw("{}")})
		if n.Restore(r); !reflect.DeepEqual(r, want) {
			t.Errorf("answer: %+v", r)
		}
	}
	for _, n := range []*Names{nil, {}} {
		events := []Event{{Kind: EventBlockStart, Block: ToolUse, Name: Quote("response")}, {Kind: EventFinish, Stop: Stop{Reason: StopToolUse}}}
		got := n.RestoreEvents(events)
		if got[0].Block != ToolUse || got[1].Stop.Reason != StopToolUse {
			t.Errorf("stream: %+v", got)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		with.RestoreEvents([]Event{{Kind: EventDelta, Delta: DeltaText, Text: Literal(`"x"`)}}[:1:1])
	}); n > 1 {
		t.Errorf("%v allocations for an event", n)
	}
}

// A call of another tool beside the output keeps its stop reason.
func TestRestoreBesideCalls(t *testing.T) {
	var n Names
	n.SetOutputTool("response")
	r := output(Arguments{})
	r.Blocks = append(r.Blocks, Block{Kind: ToolUse, ID: Quote("d"), Name: Quote("f")})
	if n.Restore(r); r.Stop.Reason != StopToolUse || r.Blocks[1].Kind != Text || r.Blocks[2].Kind != ToolUse {
		t.Errorf("%+v", r)
	}
}
