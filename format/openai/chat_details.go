package openai

import (
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Signatures of reasoning have no place in OpenAI's own form of the format. They
// travel in reasoning_details, as OpenRouter has it (its documentation, "Reasoning
// tokens", and the types of @openrouter/ai-sdk-provider 2.10), and those of
// Gemini's calls where Google's endpoint of this format puts them.

// Types of elements of reasoning_details.
const (
	detailText      = "reasoning.text"
	detailSummary   = "reasoning.summary"
	detailEncrypted = "reasoning.encrypted"
)

// googleSignature begins the signature of a call; two braces end it.
const googleSignature = `,"extra_content":{"google":{"thought_signature":`

// originAnthropic is how the neutral form names Anthropic's format.
const originAnthropic = string(format.AnthropicMessages)

// detailFormats are the names that OpenRouter has for the makers of reasoning.
var detailFormats = map[string]string{
	originAnthropic: "anthropic-claude-v1",
	originGemini:    "google-gemini-v1",
	originResponses: "openai-responses-v1",
}

// carried says that reasoning has a signature, or is sealed, so that clients are
// to carry it.
func carried(b *chat.Block) bool {
	switch {
	case b.Origin == "":
		return false
	case b.Kind == chat.Thinking:
		return !b.Signature.Empty()
	default:
		return b.Kind == chat.RedactedThinking && !b.Text.Empty()
	}
}

// appendDetail appends reasoning as element number of reasoning_details. What an
// upstream of this format made is restored; else the data names the maker, and
// the text goes along where the maker wants it back as it was.
func appendDetail(dst []byte, b *chat.Block, number int) []byte {
	if b.Kind == chat.Thinking && b.Origin == origin {
		return appendOwnDetail(dst, b)
	}
	maker, sealed := b.Origin, b.Signature
	if b.Kind == chat.RedactedThinking {
		maker, sealed = maker+redactedMark, b.Text
	}
	dst = append(dst, `{"type":"`+detailEncrypted+`","data":`...)
	dst = append(dst, chat.TagSignature(maker, sealed)...)
	if b.Kind == chat.Thinking && b.Origin == originAnthropic && !b.Text.Empty() {
		dst = append(dst, `,"text":`...)
		dst = append(dst, b.Text...)
	}
	if name, ok := detailFormats[b.Origin]; ok {
		dst = append(dst, `,"format":"`...)
		dst = append(dst, name...)
		dst = append(dst, '"')
	}
	dst = appendCount(dst, `,"index":`, int64(number))
	return append(dst, '}')
}

// ownDetail reads an element of reasoning_details of an upstream: its text, and
// everything else of it as the signature if it proves something.
func ownDetail(v tape.Value) (text, signature chat.Literal) {
	text = reasoningDetail(v)
	if v.Member("signature").Literal().Empty() && v.Member("data").Literal().Empty() {
		return text, nil
	}
	rest := []byte{'{'}
	for key, value := range v.Members {
		if key.Is("text") || key.Is("summary") || !value.Present() {
			continue
		}
		if len(rest) > 1 {
			rest = append(rest, ',')
		}
		rest = append(append(append(rest, key.Raw()...), ':'), value.Raw()...)
	}
	return text, chat.AppendQuoted(nil, append(rest, '}'))
}

// reasoningDetail is the text of an element of reasoning_details.
func reasoningDetail(v tape.Value) chat.Literal {
	if text := v.Get("text").Literal(); text != nil {
		return text
	}
	return v.Get("summary").Literal()
}

// appendOwnDetail appends the element of reasoning_details that ownDetail has
// read. A signature that is none, as it may come back from a client, leaves the
// text.
func appendOwnDetail(dst []byte, b *chat.Block) []byte {
	t := tape.Take()
	defer t.Release()
	rest := b.Signature.Unescaped()
	if err := t.Parse(rest); err != nil || t.Root().Kind() != tape.Object || t.Root().Len() == 0 {
		dst = append(dst, `{"type":"`+detailText+`","text":`...)
		return append(append(dst, b.Text.OrEmpty()...), '}')
	}
	dst = append(dst, '{')
	switch kind := t.Root().Get("type"); {
	case kind.Is(detailSummary):
		dst = append(append(dst, `"summary":`...), b.Text.OrEmpty()...)
		dst = append(dst, ',')
	case !kind.Is(detailEncrypted):
		dst = append(append(dst, `"text":`...), b.Text.OrEmpty()...)
		dst = append(dst, ',')
	}
	return appendOneLine(dst, t.Root().Raw()[1:])
}

// detailBlock reads an element of reasoning_details that a client sends back. ok
// is false if it holds nothing.
func detailBlock(v tape.Value) (b chat.Block, ok bool) {
	maker, sealed, tagged := chat.UntagSignature(v.Member("data").Literal())
	if !tagged {
		text, signature := ownDetail(v)
		b = chat.Block{Kind: chat.Thinking, Text: text.OrEmpty(), Signature: signature, Origin: origin}
		return b, !text.Empty() || signature != nil
	}
	bare, redacted := strings.CutSuffix(maker, redactedMark)
	if redacted {
		return chat.Block{Kind: chat.RedactedThinking, Text: sealed, Origin: bare}, true
	}
	return chat.Block{Kind: chat.Thinking, Text: reasoningDetail(v).OrEmpty(), Signature: sealed, Origin: bare}, true
}

// thoughts reads the reasoning of an earlier answer: its text, and what the
// client carries besides. If no element of that holds a text, the whole text
// belongs to the only one, or else to none of them.
func (d *messageDecoder) thoughts(text chat.Literal, details tape.Value) {
	signed, told := 0, false
	for element := range details.Elements {
		b, ok := detailBlock(element)
		signed += count01(ok && b.Kind == chat.Thinking)
		told = told || ok && b.Kind == chat.Thinking && !b.Text.Empty()
	}
	if !text.Empty() && !told && signed != 1 {
		b := d.turn.add(chat.Thinking)
		b.Text, b.Origin = text, origin
	}
	for element := range details.Elements {
		b, ok := detailBlock(element)
		if !ok {
			continue
		}
		if b.Kind == chat.Thinking && !told && signed == 1 {
			b.Text = text.OrEmpty()
		}
		*d.turn.add(b.Kind) = b
	}
}

// count01 is 1 for what holds.
func count01(holds bool) int {
	if holds {
		return 1
	}
	return 0
}

// callSignature reads the signature of a call, and which format made it.
func callSignature(v tape.Value) (signature chat.Literal, maker string) {
	signature = v.Member("extra_content").Member("google").Member("thought_signature").Literal()
	if signature.Empty() {
		return nil, ""
	}
	if maker, bare, tagged := chat.UntagSignature(signature); tagged {
		return bare, maker
	}
	return signature, originGemini
}

// appendCallSignature appends the signature of a call behind its other members,
// if it has one.
func appendCallSignature(dst []byte, signature chat.Literal, maker string) []byte {
	switch {
	case signature.Empty(), maker == "":
		return dst
	case maker != originGemini:
		signature = chat.TagSignature(maker, signature)
	}
	dst = append(dst, googleSignature...)
	dst = append(dst, signature...)
	return append(dst, "}}"...)
}
