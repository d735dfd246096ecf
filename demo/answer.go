package demo

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// answer is what a model says, and how it goes wrong.
type answer struct {
	response *chat.Response
	// err is sent instead of a response.
	err *chat.Error
	// delay passes before the first content, pace between later pieces.
	delay, pace time.Duration
	// fault ends the body before its end; nil if all goes well. It comes after
	// faultAfter deltas of a stream, in the middle of a plain answer.
	fault      *step
	faultAfter int
}

// model is one model of the demo upstream.
type model struct {
	name   string
	answer func(*Transport, *chat.Request) answer
}

var models = []model{
	{"echo", func(_ *Transport, r *chat.Request) answer { return say(r, echo(r)) }},
	{"story", (*Transport).story},
	{"tools", func(_ *Transport, r *chat.Request) answer { return useTools(r) }},
	{"flaky", (*Transport).flaky},
	{"slow", (*Transport).slow},
	{"error-429", rateLimited},
	{"error-500", func(*Transport, *chat.Request) answer { return failed() }},
	{"error-cut", cut},
	{"error-stall", stall},
}

// answer lets the model that the request names answer.
func (t *Transport) answer(r *chat.Request) answer {
	for _, m := range models {
		if m.name == r.Model {
			return m.answer(t, r)
		}
	}
	return answer{err: &chat.Error{
		Kind:    chat.ErrNotFound,
		Param:   "model",
		Message: fmt.Sprintf("the demo upstream has no model %q", r.Model),
	}}
}

// story tells the story at the configured pace.
func (t *Transport) story(r *chat.Request) answer {
	a := say(r, tale)
	a.pace = t.pace
	return a
}

// flaky fails every second call.
func (t *Transport) flaky(r *chat.Request) answer {
	if t.calls.Add(1)%2 == 0 {
		return failed()
	}
	return say(r, echo(r))
}

// slow thinks for a while.
func (t *Transport) slow(r *chat.Request) answer {
	a := say(r, echo(r))
	a.delay = t.delay
	return a
}

// failed is a failure of the server.
func failed() answer {
	return answer{err: &chat.Error{Kind: chat.ErrServer, Message: "the demo upstream fails on purpose"}}
}

// rateLimited asks the client to come back later.
func rateLimited(*Transport, *chat.Request) answer {
	return answer{err: &chat.Error{
		Kind:       chat.ErrRateLimit,
		Message:    "the demo upstream limits the rate on purpose",
		RetryAfter: 2 * time.Second,
	}}
}

// cut breaks off as a lost connection does.
func cut(_ *Transport, r *chat.Request) answer {
	a := say(r, tale)
	a.fault, a.faultAfter = &step{err: io.ErrUnexpectedEOF}, cutAfter
	return a
}

// stall falls silent before the first content.
func stall(_ *Transport, r *chat.Request) answer {
	a := say(r, tale)
	a.fault = &step{wait: forever}
	return a
}

// say answers with text, as far as the request's limits let it.
func say(r *chat.Request, text string) answer {
	text, stop := limit(r, text)
	response := &chat.Response{
		Model:   chat.Quote(r.Model),
		Created: created,
		Blocks:  []chat.Block{{Kind: chat.Text, Text: chat.Quote(text)}},
		Stop:    stop,
	}
	response.Usage = count(r, text)
	return answer{response: response}
}

// limit ends the text where a stop sequence or the limit of tokens demands it.
func limit(r *chat.Request, text string) (string, chat.Stop) {
	stop := chat.Stop{Reason: chat.StopEnd}
	for _, sequence := range r.Stop {
		before, _, found := strings.Cut(text, sequence.String())
		if found && !sequence.Empty() {
			text, stop = before, chat.Stop{Reason: chat.StopSequence, Sequence: sequence}
		}
	}
	tokens := words(text)
	if n, ok := r.MaxTokens.Int(); ok && n >= 0 && n < int64(len(tokens)) {
		return strings.Join(tokens[:n], ""), chat.Stop{Reason: chat.StopMaxTokens}
	}
	return text, stop
}

// echo is what the user said last: results of tools and text.
func echo(r *chat.Request) string {
	text, results := heard(r)
	if text != "" {
		results = append(results, text)
	}
	if len(results) == 0 {
		return "The demo upstream heard no text."
	}
	return strings.Join(results, "\n")
}

// heard is what the user said since the assistant's last turn: the text of the
// last turn that has one, and the results of tools.
func heard(r *chat.Request) (text string, results []string) {
	from := len(r.Turns)
	for from > 0 && r.Turns[from-1].Role != chat.Assistant {
		from--
	}
	for _, turn := range r.Turns[from:] {
		if turn.Role != chat.User {
			continue
		}
		if said := textOf(turn.Blocks); said != "" {
			text = said
		}
		for _, block := range turn.Blocks {
			if block.Kind == chat.ToolResult {
				results = append(results, textOf(block.Content))
			}
		}
	}
	return text, results
}

// textOf joins the texts among the blocks.
func textOf(blocks []chat.Block) string {
	var texts []string
	for _, block := range blocks {
		if block.Kind == chat.Text && !block.Text.Empty() {
			texts = append(texts, block.Text.String())
		}
	}
	return strings.Join(texts, "\n")
}

// count is the usage: a word is a token.
func count(r *chat.Request, output string) chat.Usage {
	input := countBlocks(r.System)
	for _, turn := range r.Turns {
		input += countBlocks(turn.Blocks)
	}
	return chat.Usage{Known: true, InputUncached: input, Output: int64(len(strings.Fields(output)))}
}

// countBlocks counts the words of texts and results of tools.
func countBlocks(blocks []chat.Block) int64 {
	var n int64
	for _, block := range blocks {
		switch block.Kind {
		case chat.Text:
			n += int64(len(strings.Fields(block.Text.String())))
		case chat.ToolResult:
			n += countBlocks(block.Content)
		}
	}
	return n
}

// words splits a text behind each space, so that the pieces make up the text.
func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.SplitAfter(text, " ")
}

// halves splits a text without spaces in two.
func halves(text string) []string {
	middle := len(text) / 2
	for middle > 0 && text[middle]&0xC0 == 0x80 {
		middle-- // not inside a rune
	}
	return []string{text[:middle], text[middle:]}
}

// tale is the story.
const tale = `Once a gateway stood at the edge of a wide plain of servers. ` +
	`Every morning travellers came with questions, and every traveller spoke a different tongue. ` +
	`Some carried long letters, some only a word, and some brought pictures folded into small packets. ` +
	`The gateway read each letter once, chose a road, and sent a rider out before the ink was dry. ` +
	`When a bridge was down, it did not wait by the river; it called the rider back and chose another road, ` +
	`and the traveller never knew that the first one had been closed. ` +
	`At night the gateway kept its lamps lit, because some answers are long and arrive one word at a time. ` +
	`Nobody praised it, for nobody noticed it. ` +
	`But on the day it was rebuilt, not a single rider stumbled, ` +
	`and the travellers went on talking in the middle of their sentences.`
