package format_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// eachDocument calls f for every file below this folder that fits a pattern.
func eachDocument(t *testing.T, pattern string, f func(t *testing.T, doc string)) {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) == 0 {
		t.Fatalf("no documents at %s: %v", pattern, err)
	}
	for _, path := range found {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) { f(t, string(content)) })
	}
}

// roundTrips are the formats with their documents and what a round may change.
var roundTrips = []struct {
	name              string
	codec             format.Chat
	requests, answers string
	// request and answer are the changes of requests and answers.
	request, answer []change
}{
	{
		name: "chat", codec: chatFormat, requests: "openai/testdata/*/request.json", answers: "openai/testdata/*/upstream_response.json",
		request: []change{
			{"request_legacy", `\.LegacyFunctions|\.Turns\[2\]\.Blocks\[0\]\.Name`, "functions are sent as tools, whose results have no names"},
		},
		answer: []change{
			{"answer_vllm", `\.Stop\.(Reason|Sequence)`, "the format has no word for a stop sequence"},
			{"answer_openrouter", `\.Blocks\[[23]\]\..*`, "reasoning without a signature is text, of which reasoning_details say nothing"},
			{"answer_stop_with_tools", `\.Usage\.Known`, "clients want counts, so those that nobody knows are 0"},
		},
	},
	{
		name: "responses", codec: responsesFormat, requests: "openai/testdata/*/responses_request.json", answers: "openai/testdata/*/responses_answer.json",
		request: []change{
			{"responses_request_codex", `\.Tools\[1\]\.Namespace`, "a namespace becomes a part of the names of its functions"},
			{"responses_request_media", `.*\.Detail`, "the default is said"},
			{"responses_request_output", `\.MaxTokens`, "less than 16 is refused"},
			{"responses_request_output", `\.Tools\[[01]\]\.Strict`, "the default is said"},
		},
	},
	{
		name: "messages", codec: messagesFormat, requests: "anthropic/testdata/*/request.json", answers: "anthropic/testdata/*/upstream_response.json",
	},
	{
		name: "gemini", codec: geminiFormat, requests: "gemini/testdata/*/request.json", answers: "gemini/testdata/*/upstream_response.json",
		request: []change{
			{"request_agent", `\.Turns\[[45]\]\..*`, "a result without a call becomes a text"},
			{"request_carried", `\.Seed`, "a seed has 32 bits"},
		},
		answer: []change{
			{"answer_grounded", `.*\.End`, "a source of nothing in particular is one of the whole text"},
			{"answer_text", `\.Lost.*`, "there is one answer"},
			{"answer_text", `\.Usage\.AudioIn`, "sound is counted among the other tokens"},
		},
	},
}

// TestRequestsRoundTrip shows that decoding and encoding a request in its own
// format keeps what it means.
func TestRequestsRoundTrip(t *testing.T) {
	for _, tc := range roundTrips {
		t.Run(tc.name, func(t *testing.T) {
			rounds := newRounds(tc.request)
			eachDocument(t, tc.requests, func(t *testing.T, doc string) {
				request, err := tc.codec.DecodeRequest(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				// A model that takes all of it, with the reasoning that was asked for.
				can := capability.Model{MidSystem: true, ResultParts: true, ThinkingLevel: request.Reasoning.Budget == nil}
				var b format.Body
				if _, err := tc.codec.EncodeRequest(&b, request, chat.Target{Model: request.Model, Can: can}); err != nil {
					t.Fatal(err)
				}
				again, err := tc.codec.DecodeRequest(index(t, string(b.Bytes())))
				if err != nil {
					t.Fatalf("%v: %s", err, b.Bytes())
				}
				sameMeaning(request)
				sameMeaning(again)
				rounds.compare(t, factsOf(request), factsOf(again))
			})
			rounds.finish(t)
		})
	}
}

// TestAnswersRoundTrip shows the same of answers, whose model, time and, where the
// upstream gave none, id the gateway chooses. The upstream's own word for the end
// is not kept.
func TestAnswersRoundTrip(t *testing.T) {
	for _, tc := range roundTrips {
		t.Run(tc.name, func(t *testing.T) {
			rounds := newRounds(tc.answer)
			eachDocument(t, tc.answers, func(t *testing.T, doc string) {
				response, err := tc.codec.DecodeResponse(index(t, doc))
				if err != nil {
					t.Fatal(err)
				}
				x := asked()
				x.Model, x.Created, x.RequestID = response.Model.String(), response.Created, response.ID.String()
				out, _ := tc.codec.EncodeResponse(nil, response, x)
				again, err := tc.codec.DecodeResponse(index(t, string(out)))
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				again.Stop.Native = response.Stop.Native
				if prefix := strings.TrimSuffix(again.ID.String(), response.ID.String()); len(prefix) < len(again.ID.String()) {
					again.ID = response.ID
				}
				rounds.compare(t, factsOf(response), factsOf(again))
			})
			rounds.finish(t)
		})
	}
}
