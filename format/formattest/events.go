package formattest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// deltaNames are the kinds of deltas as Describe names them.
var deltaNames = [...]string{
	chat.DeltaText: "text", chat.DeltaThinking: "thinking", chat.DeltaSignature: "signature",
	chat.DeltaArguments: "arguments", chat.DeltaRefusal: "refusal", chat.DeltaRedacted: "redacted",
	chat.DeltaCitation: "citation",
}

// Describe writes a neutral event as one line, such as CheckEvents reads. Counts of
// tokens and errors are left to the formats, which have more or less to tell.
func Describe(ev *chat.Event) string {
	switch ev.Kind {
	case chat.EventStart:
		return fmt.Sprintf("start %s %s", []byte(ev.ID), []byte(ev.Model))
	case chat.EventBlockStart:
		return strings.TrimSpace(fmt.Sprintf("block %d %s %s %s", ev.Index, ev.Block, []byte(ev.ID), []byte(ev.Name)))
	case chat.EventDelta:
		if c := ev.Citation; c != nil {
			return fmt.Sprintf("delta %d citation %s %s %d-%d", ev.Index, []byte(c.URL), []byte(c.Title), c.Start, c.End)
		}
		return strings.TrimSpace(fmt.Sprintf("delta %d %s %s %s", ev.Index, deltaNames[ev.Delta], []byte(ev.Text), []byte(ev.Logprobs)))
	case chat.EventBlockStop:
		return fmt.Sprintf("stop %d", ev.Index)
	case chat.EventFinish:
		return strings.TrimSpace(fmt.Sprintf("finish %d %s %s", ev.Stop.Reason, []byte(ev.Stop.Sequence), ev.Stop.Native))
	case chat.EventEnd:
		return "end"
	default:
		return fmt.Sprintf("event %d", ev.Kind)
	}
}

// CheckEvents checks the grammar of neutral events, as Describe writes them:
// blocks open and close once, and nothing stands outside of them.
func CheckEvents(tb testing.TB, events string) {
	tb.Helper()
	open := map[string]bool{}
	seen, last := 0, ""
	for i, line := range strings.Split(strings.TrimSpace(events), "\n") {
		word, rest, _ := strings.Cut(line, " ")
		number, _, _ := strings.Cut(rest, " ")
		switch word {
		case "start":
			if i != 0 {
				tb.Errorf("start is event %d", i)
			}
		case "block":
			if number != fmt.Sprint(seen) {
				tb.Errorf("block %s opens after %d others", number, seen)
			}
			open[number] = true
			seen++
		case "delta":
			if !open[number] {
				tb.Errorf("%q outside of its block", line)
			}
		case "stop":
			if !open[number] {
				tb.Errorf("%q of a block that is not open", line)
			}
			delete(open, number)
		case "finish":
			if len(open) > 0 {
				tb.Errorf("finish with open blocks %v", open)
			}
		case "usage", "error", "end":
		default:
			tb.Errorf("unknown event %q", line)
		}
		last = word
	}
	if last != "end" && last != "error" {
		tb.Errorf("the last event is %q", last)
	}
}
