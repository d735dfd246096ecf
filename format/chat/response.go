package chat

// Response is a complete answer in neutral form.
type Response struct {
	// ID is the upstream's own id of the answer; nil if it gave none.
	ID Literal
	// Model is the model that the upstream says has answered.
	Model Literal
	// Created is in Unix seconds; 0 if the upstream did not say.
	Created int64
	// Blocks are the answer: text, thinking, tool calls, refusals, in order.
	Blocks []Block
	Stop   Stop
	Usage  Usage
	// Lost is what the decoder left out, such as a second choice.
	Lost Report
}

// StopReason says why the model stopped.
type StopReason uint8

// The reasons. StopUnset means that none was given yet.
const (
	StopUnset StopReason = iota
	// StopEnd is the natural end of the answer.
	StopEnd
	StopMaxTokens
	StopSequence
	StopToolUse
	StopRefusal
	StopContentFilter
	// StopPause asks the client to continue a long turn.
	StopPause
	StopContextWindow
	StopOther
)

// Stop says why the model stopped.
type Stop struct {
	Reason StopReason
	// Sequence is the stop sequence that was met.
	Sequence Literal
	// Native is the word of the upstream's format.
	Native string
}

// Usage counts tokens. Its input parts are disjoint: the prompt is the sum of
// InputUncached, CacheRead, CacheWrite5m and CacheWrite1h.
type Usage struct {
	// Known says that the upstream reported usage. Counts of an unknown usage
	// are zero and mean nothing.
	Known bool
	// InputUncached is the part of the prompt that was neither read from nor
	// written to a cache.
	InputUncached int64
	CacheRead     int64
	// CacheWrite5m also counts writes whose time to live was not said.
	CacheWrite5m int64
	CacheWrite1h int64
	// Output includes Reasoning.
	Output    int64
	Reasoning int64
	AudioIn   int64
	AudioOut  int64
}

// Prompt is the whole input: the sum of the disjoint parts.
func (u *Usage) Prompt() int64 {
	return u.InputUncached + u.CacheRead + u.CacheWrite()
}

// CacheWrite is the number of input tokens that were written to a cache.
func (u *Usage) CacheWrite() int64 { return u.CacheWrite5m + u.CacheWrite1h }

// Exchange tells an encoder of answers what it must know of the request that it
// answers.
type Exchange struct {
	// Model is the name the client asked for.
	Model string
	// RequestID is the gateway's id of the request; answers get an id made from
	// it when the upstream gave none.
	RequestID string
	// Created is the time of the answer in Unix seconds, for formats that tell it.
	Created int64
	// IncludeUsage says that the client wants token counts in a stream.
	IncludeUsage bool
	// LegacyFunctions says that the client speaks of functions, not of tools.
	LegacyFunctions bool
	// Names are the tool names that were changed for the upstream; nil if none
	// were.
	Names *Names
	// Request is what the client asked, for formats that echo parts of it. It
	// may be nil.
	Request *Request
}
