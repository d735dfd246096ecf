package chat

import (
	"errors"
	"reflect"
	"testing"
)

// answer has every kind of block that an answer can have.
var answer = Response{
	ID: Quote("msg_1"), Model: Quote("real"),
	Blocks: []Block{
		{Kind: Thinking, Text: Quote("hm\n"), Signature: Quote("sig"), Origin: "anthropic_messages"},
		{Kind: RedactedThinking, Text: Quote("sealed"), Origin: "anthropic_messages"},
		{
			Kind: Text, Text: Quote("hello \"you\""), Logprobs: Raw(`[{"token":"a"},{"token":"b"}]`),
			Citations: []Citation{{URL: Quote("https://example.com"), Start: 1, End: 4}, {Quote: Quote("q"), Raw: Raw(`{}`), Origin: "gemini"}},
		},
		{Kind: ToolUse, ID: Quote("call_1"), Name: Quote("f"), Arguments: Arguments{Text: Quote(`{"a":1}`)}},
		{Kind: ToolUse, ID: Quote("call_2"), Name: Quote("g"), Arguments: Arguments{Text: Quote("")}},
		{Kind: Refusal, Text: Quote("no")},
	},
	Stop:  Stop{Reason: StopSequence, Sequence: Quote("END"), Native: "stop_sequence"},
	Usage: Usage{Known: true, InputUncached: 3, Output: 2},
}

// TestReplayAndCollect shows that an answer survives the way through a stream.
func TestReplayAndCollect(t *testing.T) {
	var c Collector
	for ev := range answer.Replay {
		c.Add(ev)
	}
	got, err := c.Response()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, answer) {
		t.Errorf("got\n%+v\nwant\n%+v", *got, answer)
	}
}

func TestReplayOfAnObject(t *testing.T) {
	r := Response{Blocks: []Block{{Kind: ToolUse, ID: Quote("c"), Name: Quote("f"), Arguments: Arguments{Object: Raw(`{"a":"b"}`)}}}}
	var c Collector
	for ev := range r.Replay {
		c.Add(ev)
	}
	got, err := c.Response()
	if err != nil || got.Blocks[0].Arguments.Text.String() != `{"a":"b"}` {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReplayStops(t *testing.T) {
	total := 0
	for range answer.Replay {
		total++
	}
	for most := 1; most < total; most++ {
		seen := 0
		for range answer.Replay {
			if seen++; seen == most {
				break
			}
		}
		if seen != most {
			t.Errorf("%d events after a stop at %d", seen, most)
		}
	}
}

func TestJoinArrays(t *testing.T) {
	for _, tc := range []struct{ all, more, want string }{
		{"", "[]", ""},
		{"", "null", ""},
		{"", "[1]", "[1]"},
		{"[1]", "[ 2, 3 ]", "[1,2, 3]"},
		{"[1]", "", "[1]"},
	} {
		if got := joinArrays(Raw(tc.all), Raw(tc.more)); string(got) != tc.want {
			t.Errorf("%s and %s: %s, want %s", tc.all, tc.more, got, tc.want)
		}
	}
}

// TestCollectCopies shows that the collector does not depend on the views of
// events that are gone.
func TestCollectCopies(t *testing.T) {
	var c Collector
	text := []byte(`"hello"`)
	c.Add(&Event{Kind: EventStart, ID: text})
	c.Add(&Event{Kind: EventBlockStart})
	c.Add(&Event{Kind: EventDelta, Delta: DeltaText, Text: text})
	copy(text, `"XXXXX"`)
	c.Add(&Event{Kind: EventFinish, Stop: Stop{Reason: StopEnd}})
	c.Add(&Event{Kind: EventEnd})
	got, err := c.Response()
	if err != nil || !got.ID.Is("hello") || !got.Blocks[0].Text.Is("hello") {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestCollectErrors(t *testing.T) {
	var failed Collector
	want := &Error{Kind: ErrOverloaded, Message: "busy"}
	failed.Add(&Event{Kind: EventStart})
	failed.Add(&Event{Kind: EventError, Err: want})
	if _, err := failed.Response(); !errors.Is(err, want) {
		t.Errorf("error is %v", err)
	}
	var cut Collector
	cut.Add(&Event{Kind: EventStart})
	if _, err := cut.Response(); err == nil {
		t.Error("a stream without an end is a complete answer")
	}
}
