package provider

import "slices"

// block is a piece of content.
type block struct {
	kind blockKind
	// text is the text, the thinking, the refusal or the input of a blockCustom.
	text string
	// id, name and arguments are those of a call.
	id, name, arguments string
	// signature proves who made the thinking; of a blockRedacted it is all there
	// is.
	signature string
	// cited is where a text comes from; weighed says that the probabilities of its
	// tokens are told.
	cited   source
	weighed bool
}

// blockKind says what a block is.
type blockKind uint8

const (
	blockText blockKind = iota
	blockCall
	blockThinking
	blockRedacted
	blockRefusal
	blockCustom
)

// Stop says why the model stopped.
type Stop uint8

// The reasons to stop.
const (
	// StopAsSaid is the end, or a call if the content has one. It is the zero
	// value.
	StopAsSaid Stop = iota
	// StopMaxTokens is the limit of tokens.
	StopMaxTokens
	// StopFiltered is a filter that held back the answer.
	StopFiltered
)

// Usage is what an answer reports, in tokens.
type Usage struct {
	// Prompt is the whole input; CacheRead and CacheWrite are parts of it.
	Prompt, CacheRead, CacheWrite int
	// Output is the whole output; Reasoning is a part of it.
	Output, Reasoning int
}

// What an answer reports as its usage if its script does not say.
const (
	InputTokens  = 11
	OutputTokens = 7
)

// Say answers with a text; a stream brings it word by word.
func Say(text string) Step { return Step{}.AndSay(text) }

// Call answers with a call of a tool. arguments is a JSON object.
func Call(id, name, arguments string) Step { return Step{}.AndCall(id, name, arguments) }

// Custom answers with a call of a tool that takes free text. Formats without such
// tools call the function that stands for it.
func Custom(id, name, input string) Step {
	return Step{}.and(block{kind: blockCustom, id: id, name: name, text: input})
}

// Think answers with reasoning, and its signature if that is not empty.
func Think(text, signature string) Step {
	return Step{}.and(block{kind: blockThinking, text: text, signature: signature})
}

// Redacted answers with reasoning that nobody can read. Gemini has no such thing
// and leaves it out.
func Redacted(data string) Step { return Step{}.and(block{kind: blockRedacted, signature: data}) }

// Refuse answers with a refusal.
func Refuse(text string) Step { return Step{}.and(block{kind: blockRefusal, text: text}) }

// AndSay adds a text.
func (s Step) AndSay(text string) Step { return s.and(block{kind: blockText, text: text}) }

// AndCall adds a call of a tool.
func (s Step) AndCall(id, name, arguments string) Step {
	return s.and(block{kind: blockCall, id: id, name: name, arguments: arguments})
}

// Citing says that the last text comes from a page.
func (s Step) Citing(url, title string) Step {
	return s.changed(func(b *block) { b.cited = source{url, title} })
}

// Weighing tells the probabilities of the last text's tokens, which are its words
// without the blanks.
func (s Step) Weighing() Step {
	return s.changed(func(b *block) { b.weighed = true })
}

// changed changes the last block.
func (s Step) changed(f func(*block)) Step {
	s.content = slices.Clone(s.content)
	f(&s.content[len(s.content)-1])
	return s
}

// asFunction is a call of a custom tool as one of the function that stands for it.
func (b block) asFunction() block {
	if b.kind == blockCustom {
		b.kind, b.arguments = blockCall, object("input", quote(b.text))
	}
	return b
}

// Stopping answers with another reason to stop.
func (s Step) Stopping(why Stop) Step {
	s.stop = why
	return s
}

// Counting answers with another usage.
func (s Step) Counting(u Usage) Step {
	s.counts = u
	return s
}

// and adds a block.
func (s Step) and(b block) Step {
	s.content = append(s.content[:len(s.content):len(s.content)], b)
	return s
}

// has says that the content has a block of a kind.
func (s Step) has(kind blockKind) bool {
	return slices.ContainsFunc(s.content, func(b block) bool { return b.kind == kind })
}

// usage is what the answer reports.
func (s Step) usage() Usage {
	if s.counts == (Usage{}) {
		return Usage{Prompt: InputTokens, Output: OutputTokens}
	}
	return s.counts
}

// stopWord chooses the format's word for why the model stopped.
func (s Step) stopWord(end, call, maxTokens, filtered string) string {
	switch {
	case s.stop == StopMaxTokens:
		return maxTokens
	case s.stop == StopFiltered:
		return filtered
	case s.has(blockCall), s.has(blockCustom):
		return call
	default:
		return end
	}
}
