// Package capability knows in which ways models differ within one wire format:
// what a request may say to them. The facts change monthly, so they are data: a
// table of name patterns per vendor, of which the longest that fits wins. What
// the table does not know is permitted.
//
// Sources of the facts stand beside them in the tables.
package capability

// Thinking says which forms of Anthropic's "thinking" a model takes.
type Thinking uint8

// The forms. ThinkingUnknown permits all of them.
const (
	ThinkingUnknown Thinking = iota
	// ThinkingNone: the model does not think.
	ThinkingNone
	// ThinkingManual: with a budget of tokens only.
	ThinkingManual
	// ThinkingBoth: with a budget, or adaptive.
	ThinkingBoth
	// ThinkingAdaptive: adaptive only; a budget is refused.
	ThinkingAdaptive
)

// ThinkingOff says how a model that thinks is told not to.
type ThinkingOff uint8

// The ways. OffAccepted is the zero value: "disabled" is taken.
const (
	OffAccepted ThinkingOff = iota
	// OffUpToHigh: "disabled" is taken with efforts up to high only.
	OffUpToHigh
	// OffBetweenTools: "disabled" is refused; "between_tools" with an effort of
	// at most high is the least.
	OffBetweenTools
	// OffRefused: cannot be switched off; the lowest effort is the least.
	OffRefused
)

// Sampling says which of temperature, top_p and top_k a model takes.
type Sampling uint8

// The rules. SamplingFree is the zero value: all are taken.
const (
	SamplingFree Sampling = iota
	// SamplingNotBoth: temperature or top_p, not both.
	SamplingNotBoth
	// SamplingNone: none of them.
	SamplingNone
	// SamplingEffortNone: only with reasoning effort none.
	SamplingEffortNone
)

// ForcedTool says whether a model takes a tool choice that demands a call.
type ForcedTool uint8

// The rules. ForcedFree is the zero value.
const (
	ForcedFree ForcedTool = iota
	// ForcedNotThinking: only if it does not think.
	ForcedNotThinking
	// ForcedRefused: never.
	ForcedRefused
)

// ChatTools says whether OpenAI's Chat endpoint takes function tools for a
// model; its Responses endpoint always does.
type ChatTools uint8

// The rules. ChatToolsFree is the zero value.
const (
	ChatToolsFree ChatTools = iota
	// ChatToolsEffort: not together with an effort other than none.
	ChatToolsEffort
	// ChatToolsEffortNone: only with effort none.
	ChatToolsEffortNone
	// ChatToolsRefused: never.
	ChatToolsRefused
)

// Efforts is a set of reasoning efforts. The empty set means: not known.
type Efforts uint8

// The efforts.
const (
	None Efforts = 1 << iota
	Minimal
	Low
	Medium
	High
	XHigh
	Max
)

// Model is what is known of a model. The zero value permits everything.
type Model struct {
	Thinking    Thinking
	ThinkingOff ThinkingOff
	// ThinksByDefault: the model thinks when a request says nothing about it.
	ThinksByDefault bool
	// Efforts are the levels of reasoning the model takes.
	Efforts Efforts
	// Reasons: a reasoning model of OpenAI, which refuses penalties, stop
	// sequences and logit_bias.
	Reasons  bool
	Sampling Sampling
	// NoPenalties: frequency and presence penalties are refused.
	NoPenalties bool
	// MidSystem: takes system turns in the middle of a conversation.
	MidSystem bool
	// NoPrefill: refuses a conversation that ends with the assistant's turn.
	NoPrefill  bool
	ForcedTool ForcedTool
	// NoStructuredOutput: knows no output format by schema.
	NoStructuredOutput bool
	// MaxOutput is the largest number of output tokens; 0 if not known.
	MaxOutput int
	// ContextWindow is how many tokens a request may have, with most models together
	// with its answer; 0 if not known. It is that of the vendor's own service and of
	// requests without beta headers; who serves open weights decides it himself.
	ContextWindow int
	// DeveloperRole: system text is sent with the role "developer".
	DeveloperRole bool
	ChatTools     ChatTools
	// CacheMarks: OpenAI's prompt_cache_breakpoint is taken.
	CacheMarks bool

	// ThinkingLevel: Gemini's thinkingLevel is taken, not thinkingBudget.
	ThinkingLevel bool
	// BudgetMin and BudgetMax bound Gemini's thinkingBudget; both 0 if not known.
	BudgetMin, BudgetMax int
	// NoBudgetZero: Gemini's thinking cannot be switched off.
	NoBudgetZero bool
	// ResultParts: Gemini takes images inside functionResponse.
	ResultParts bool
	// CallSignatures: Gemini demands a thoughtSignature on the first call of each
	// step of the current turn.
	CallSignatures bool
}

// entry is a row of a vendor's table.
type entry struct {
	// pattern is a prefix of the model's name in lower case, without the parts in
	// front of its last slash.
	pattern string
	model   Model
}
