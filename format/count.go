package format

import (
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Counter is what the codec of a chat format has besides, if services of the
// format count the tokens of a request for their clients. Its methods are safe
// for concurrent use.
type Counter interface {
	// DecodeCountRequest reads a client's request to count. The result holds
	// views into the document.
	DecodeCountRequest(doc tape.Value) (*chat.Request, error)
	// EncodeCountRequest writes a request to count the tokens of r. What shapes
	// the answer and not the prompt is left out, which is no loss and is not
	// reported.
	EncodeCountRequest(b *Body, r *chat.Request, to chat.Target) (chat.Report, error)
	// DecodeCount reads an upstream's answer. An error object in it, or an answer
	// of another shape, is a *chat.Error.
	DecodeCount(doc tape.Value) (tokens int64, err error)
	// EncodeCount appends the answer for the client.
	EncodeCount(dst []byte, tokens int64) []byte
}

// CounterOf returns what counts tokens in a chat format; it is false for formats
// that have no request for it.
func CounterOf(id ID) (Counter, bool) {
	codec, ok := ChatOf(id)
	if !ok {
		return nil, false
	}
	counter, ok := codec.(Counter)
	return counter, ok
}

// PromptOf encodes the prompt of r with a codec and calls write with the
// document. Nothing that shapes the answer and not the prompt is in it but what
// the format demands. The document is valid until write returns; its bytes do not
// change afterwards, so that views of them may stay.
func PromptOf(codec RequestCodec, r *chat.Request, to chat.Target, write func(doc tape.Value)) (chat.Report, error) {
	prompt := promptOnly(r)
	var b Body
	report, err := codec.EncodeRequest(&b, &prompt, to)
	if err != nil {
		return report, err
	}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(b.Bytes()); err != nil {
		return report, err
	}
	write(t.Root())
	return report, nil
}

// EncodePrompt encodes the prompt of r as the document that requests to count
// tokens have in some formats: that of a request, of which fields names the members
// that it may have. What it reports is as for [PromptOf].
func EncodePrompt(b *Body, codec RequestCodec, r *chat.Request, to chat.Target, fields map[string]bool) (chat.Report, error) {
	return PromptOf(codec, r, to, func(doc tape.Value) {
		separator := byte('{')
		for key, value := range doc.Members {
			if !fields[string(key.Unescaped())] {
				continue
			}
			b.Byte(separator)
			separator = ','
			b.Raw(key.Raw())
			b.Byte(':')
			b.Raw(value.Raw())
		}
		b.Byte('}')
	})
}

// InputTokens reads how many tokens an answer says it has counted, where the format
// calls them input_tokens.
func InputTokens(doc tape.Value) (int64, error) {
	tokens, ok := doc.Get("input_tokens").Int()
	if !ok || tokens < 0 {
		return 0, chat.BadAnswer("the upstream's answer does not say how many tokens it has counted")
	}
	return tokens, nil
}

// promptOnly is r without what shapes the answer: its length, the sampling, the
// stream, the end of it.
func promptOnly(r *chat.Request) chat.Request {
	p := *r
	p.Stream, p.IncludeUsage = false, false
	p.MaxTokens, p.Temperature, p.TopP, p.TopK = nil, nil, nil, nil
	p.FrequencyPenalty, p.PresencePenalty, p.Seed, p.N = nil, nil, nil, nil
	p.Logprobs, p.TopLogprobs, p.LogitBias = chat.Unset, nil, nil
	p.Stop = nil
	return p
}

// What an estimate takes for things that are not text, in tokens. They are in
// the middle of what the vendors document: an image of 1000x1000 pixels has 1334
// tokens at Anthropic (its size divided by 750), 765 at OpenAI in high detail
// and 85 in low, 1032 at Google when it is cut into four; a page of a PDF has
// 1500 to 3000 at Anthropic and 258 at Google.
const (
	imageTokens    = 1000
	lowImageTokens = 85
	documentTokens = 3000
	audioTokens    = 1000
	videoTokens    = 5000
	// turnTokens and toolTokens are for the marks around them.
	turnTokens = 4
	toolTokens = 8
	// bytesPerToken is the usual ratio of English text in UTF-8; text in other
	// scripts has more bytes for each token, and more tokens for each character.
	bytesPerToken = 4
)

// EstimateTokens estimates the number of tokens of a request's prompt, for
// services that cannot count them. It is deterministic: a token for each 4 bytes
// of all texts, names, schemas and arguments, 4 tokens for each turn, 8 for each
// tool, and fixed numbers for each image (1000, in low detail 85), document
// (3000, or its text), audio (1000) and video (5000). It is at least 1.
func EstimateTokens(r *chat.Request) int64 {
	var e estimate
	e.blocks(r.System)
	for i := range r.Turns {
		e.tokens += turnTokens
		e.blocks(r.Turns[i].Blocks)
	}
	for i := range r.Tools {
		t := &r.Tools[i]
		e.tokens += toolTokens
		e.text(t.Name)
		e.text(t.Description)
		e.bytes += int64(len(t.Schema) + len(t.Raw))
	}
	e.bytes += int64(len(r.Output.Schema))
	return max(e.tokens+(e.bytes+bytesPerToken-1)/bytesPerToken, 1)
}

// estimate is what has been seen of a request.
type estimate struct {
	tokens int64 // of what is not text
	bytes  int64 // of what is
}

// text counts a text, without its escapes.
func (e *estimate) text(l chat.Literal) {
	in := l.Inner()
	e.bytes += int64(len(in))
	for i := 0; i < len(in); i++ {
		if in[i] != '\\' {
			continue
		}
		i++
		if i < len(in) && in[i] == 'u' {
			// Six bytes for a character of two or three; a pair of surrogates is
			// twice that for one of four.
			e.bytes -= escapedRune - escapedBytes
			i += escapedRune - 2
			continue
		}
		e.bytes--
	}
}

// What \uXXXX takes in a document, and about what the character takes in UTF-8.
const (
	escapedRune  = 6
	escapedBytes = 3
)

// blocks counts blocks and what is in them.
func (e *estimate) blocks(blocks []chat.Block) {
	for i := range blocks {
		b := &blocks[i]
		switch b.Kind {
		case chat.Image:
			e.image(b)
		case chat.Document:
			e.document(b)
		case chat.Audio:
			e.tokens += audioTokens
		case chat.Video:
			e.tokens += videoTokens
		case chat.ToolUse:
			e.text(b.Name)
			e.text(b.Arguments.Text)
			e.bytes += int64(len(b.Arguments.Object))
		case chat.ToolResult:
			e.blocks(b.Content)
		case chat.Opaque:
			e.bytes += int64(len(b.Raw))
		case chat.RedactedThinking:
			// Sealed data is not what the model reads.
		default:
			e.text(b.Text)
		}
	}
}

// image counts an image.
func (e *estimate) image(b *chat.Block) {
	if b.Detail.Is("low") {
		e.tokens += lowImageTokens
		return
	}
	e.tokens += imageTokens
}

// document counts a document: its text if it is one.
func (e *estimate) document(b *chat.Block) {
	e.text(b.Title)
	if b.Source.Kind == chat.SourceText {
		e.bytes += int64(len(b.Source.Data))
		return
	}
	e.tokens += documentTokens
}
