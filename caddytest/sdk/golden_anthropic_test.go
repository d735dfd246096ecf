package sdk

import (
	"testing"

	v1 "github.com/anthropics/anthropic-sdk-go"
	v1option "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/anthropics/anthropic-sdk-go/v2"
	"github.com/anthropics/anthropic-sdk-go/v2/option"
)

// messagesGoldens are the golden streams for clients of Messages.
const messagesGoldens = "anthropic/testdata/*/client_stream.golden.sse"

func TestGoldenMessagesV1(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := v1.NewClient(
			v1option.WithoutEnvironmentDefaults(),
			v1option.WithBaseURL("http://replayed"),
			v1option.WithAPIKey(key),
			v1option.WithHTTPClient(replay(stream)),
			v1option.WithMaxRetries(0),
		)
		events := client.Messages.NewStreaming(t.Context(), v1.MessageNewParams{Model: "writer", MaxTokens: 1})
		defer events.Close()
		var folded v1.Message
		for events.Next() {
			if err := folded.Accumulate(events.Current()); err != nil {
				t.Fatalf("the accumulator refuses %s: %v", events.Current().RawJSON(), err)
			}
		}
		if failed {
			checkFailed(t, events.Err(), folded.StopReason != "")
			return
		}
		if err := events.Err(); err != nil || folded.StopReason == "" {
			t.Fatalf("got stop reason %q, %v", folded.StopReason, err)
		}
		checkMessages(t, want, messageV1Said(&folded))
	}, messagesGoldens)
}

// messageV1Said is what a message of version 1 holds.
func messageV1Said(message *v1.Message) (got said) {
	for _, block := range message.Content {
		got.text += block.Text
		got.thinking += block.Thinking
		if block.Type == "tool_use" {
			got.calls = append(got.calls, call(block.ID, block.Name, string(block.Input)))
		}
	}
	return got
}

func TestGoldenMessagesV2(t *testing.T) {
	goldens(t, func(t *testing.T, stream []byte, want said, failed bool) {
		client := anthropic.NewClient(
			option.WithoutEnvironmentDefaults(),
			option.WithBaseURL("http://replayed"),
			option.WithAPIKey(key),
			option.WithHTTPClient(replay(stream)),
			option.WithMaxRetries(0),
		)
		events := client.Messages.NewStreaming(t.Context(), anthropic.MessageNewParams{Model: "writer", MaxTokens: 1})
		defer events.Close()
		var folded anthropic.Message
		for events.Next() {
			if err := folded.Accumulate(events.Current()); err != nil {
				t.Fatalf("the accumulator refuses %s: %v", events.Current().RawJSON(), err)
			}
		}
		if failed {
			checkFailed(t, events.Err(), folded.StopReason != "")
			return
		}
		if err := events.Err(); err != nil || folded.StopReason == "" {
			t.Fatalf("got stop reason %q, %v", folded.StopReason, err)
		}
		checkMessages(t, want, messageSaid(t, &folded))
	}, messagesGoldens)
}

// messageSaid is what a message holds.
func messageSaid(t *testing.T, message *anthropic.Message) (got said) {
	t.Helper()
	for _, block := range message.Content {
		switch block := block.AsAny().(type) {
		case anthropic.TextBlock:
			got.text += block.Text
		case anthropic.ThinkingBlock:
			got.thinking += block.Thinking
		case anthropic.ToolUseBlock:
			got.calls = append(got.calls, call(block.ID, block.Name, string(block.Input)))
		case anthropic.RedactedThinkingBlock: // no words
		default:
			t.Errorf("got a block of type %T", block)
		}
	}
	return got
}

// checkMessages compares what was found, but for the identities of calls: Messages
// allows only some characters in them, so each need only be there once.
func checkMessages(t *testing.T, want, got said) {
	t.Helper()
	seen := map[string]bool{"": true}
	for i := range got.calls {
		if id := got.calls[i].id; seen[id] {
			t.Errorf("the identity %q is empty or stands twice", id)
		}
		seen[got.calls[i].id] = true
		got.calls[i].id = ""
	}
	for i := range want.calls {
		want.calls[i].id = ""
	}
	want.check(t, got)
}
