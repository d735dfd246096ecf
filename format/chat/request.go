// Package chat is the neutral form of a conversation: the one shape that every
// wire format is decoded into and encoded from when client and upstream speak
// different formats. It is a superset of the formats, so that what two of them
// share survives on the way between them.
//
// # Views
//
// The neutral form holds views into the bytes it was decoded from: a text stays
// the JSON string literal it was ([Literal]), a number keeps its digits
// ([Number]), and everything else is raw JSON ([Raw]). Encoders append views to
// their output as they are, and unescape only where the other format demands
// it. A view is valid as long as the bytes below it are: for requests until the
// request is answered, for stream events until the next event is read. Nobody
// writes through a view.
//
// # Concurrency
//
// Values are not safe for concurrent writes. A decoded [Request] is never
// changed by an encoder, so that every attempt starts from the same request.
package chat

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/capability"

// Request is a chat request in neutral form. The zero value of a field means
// that the client did not say anything about it.
type Request struct {
	// Format is the wire format the request came in, as format.ID writes it. It
	// says to whom Extra means anything.
	Format string
	// Model is the name the client asked for.
	Model string
	// Stream says that the client wants a stream of events.
	Stream bool
	// IncludeUsage says that the client wants token counts in the stream
	// (always so for formats that have no switch for it).
	IncludeUsage bool

	// System holds the instructions that stand before the conversation, in
	// order. Only text blocks occur.
	System []Block
	// Turns is the conversation, oldest first.
	Turns []Turn

	Tools         []Tool
	ToolChoice    ToolChoice
	ParallelTools Bool
	// LegacyFunctions says that the client speaks of functions, not of tools, as
	// the first version of OpenAI's Chat format did.
	LegacyFunctions bool

	MaxTokens        Number
	Temperature      Number
	TopP             Number
	TopK             Number
	FrequencyPenalty Number
	PresencePenalty  Number
	Seed             Number
	// N is the number of answers asked for.
	N           Number
	Logprobs    Bool
	TopLogprobs Number
	LogitBias   Raw
	// Stop lists the stop sequences.
	Stop []Literal

	Reasoning Reasoning
	Output    Output

	// User identifies the end user.
	User        Literal
	Metadata    Raw
	ServiceTier Literal
	Verbosity   Literal
	Store       Bool

	// Echo holds the top-level fields that the answers of the client's format
	// repeat, as the client wrote them. Fields with a neutral meaning stand here
	// too.
	Echo []Field

	// Extra holds the top-level fields that have no neutral meaning. They are
	// restored when the target is of the same format family, and reported as
	// dropped otherwise.
	Extra []Field

	memory memory
}

// Field is a named raw value of the client's own format.
type Field struct {
	Name  string
	Value Raw
}

// Role tells who speaks in a turn.
type Role uint8

// The roles. A tool's result is a block of a user turn; system turns keep their
// place in the middle of a conversation.
const (
	User Role = iota
	Assistant
	System
)

// Turn is one contribution to the conversation.
type Turn struct {
	Role   Role
	Blocks []Block
}

// Tool is a function the model may call.
type Tool struct {
	Name        Literal
	Description Literal
	// Schema is the JSON Schema of the arguments; nil when the tool takes none.
	Schema Raw
	Strict Bool
	Cache  Raw
	// Namespace is the group that the client put the function in; nil if in none.
	// Name is then the name of the group, two underscores, and the bare name.
	Namespace Literal
	// Custom says which text a tool takes that is called with free text, in the
	// words of OpenAI's formats; nil for functions. For other formats it is the
	// function with one property, input, that Schema describes.
	Custom Raw
	// Type and Raw hold a tool that is not a function (a server tool), as it
	// was in the client's format. Both are zero for functions.
	Type string
	Raw  Raw
	// Server says which server tool it is, of those that several formats have.
	Server ServerTool
}

// ServerTool is a tool that the provider runs itself.
type ServerTool uint8

// The server tools that several formats have. ServerOther is the zero value: a
// function, or a server tool of one format only.
const (
	ServerOther ServerTool = iota
	ServerWebSearch
	ServerCodeExecution
	ServerURLFetch
)

// ToolMode says whether tools may or must be called.
type ToolMode uint8

// The modes. ToolUnset means that the client did not choose.
const (
	ToolUnset ToolMode = iota
	ToolAuto
	ToolAny
	ToolNone
	// ToolNamed demands the one tool in ToolChoice.Names.
	ToolNamed
	// ToolAllowed permits the tools in ToolChoice.Names and no others;
	// ToolChoice.Required says that one of them must be called.
	ToolAllowed
)

// ToolChoice restricts which tools the model may call.
type ToolChoice struct {
	Mode     ToolMode
	Names    []Literal
	Required bool
}

// ReasoningState says whether the model is to reason before it answers.
type ReasoningState uint8

// The states of reasoning.
const (
	ReasoningUnset ReasoningState = iota
	ReasoningOff
	ReasoningOn
)

// Reasoning says how much the model is to reason and what it shows of it.
type Reasoning struct {
	State ReasoningState
	// Effort is none, minimal, low, medium, high, xhigh or max; empty if unsaid.
	Effort string
	// Budget is a number of tokens; -1 leaves it to the model.
	Budget Number
	// Adaptive lets the model decide per step (Anthropic).
	Adaptive bool
	// Summary is auto, concise, detailed (OpenAI), summarized or omitted
	// (Anthropic); empty if unsaid.
	Summary string
}

// OutputKind is the form the answer's text must have.
type OutputKind uint8

// The kinds of output.
const (
	OutputText OutputKind = iota
	OutputJSONObject
	OutputJSONSchema
)

// Output asks for a form of the answer's text.
type Output struct {
	Kind              OutputKind
	Name, Description Literal
	Schema            Raw
	Strict            Bool
}

// ServerToolSet is a set of server tools.
type ServerToolSet uint8

// Add adds a tool to the set.
func (s *ServerToolSet) Add(t ServerTool) { *s |= 1 << t }

// Has says whether the tool is in the set; ServerOther never is.
func (s ServerToolSet) Has(t ServerTool) bool { return t != ServerOther && s&(1<<t) != 0 }

// Target tells an encoder what it must know of the upstream it encodes for.
type Target struct {
	// Model is the upstream's own name of the model.
	Model string
	// MaxTokens is sent where the format demands a limit and the client gave
	// none. Default: 8192.
	MaxTokens int
	// LegacyMaxTokens makes Chat encoders send max_tokens instead of
	// max_completion_tokens, for servers that only know the older name.
	LegacyMaxTokens bool
	// NoStreamOptions keeps stream_options out of Chat requests, for servers
	// that refuse it.
	NoStreamOptions bool
	// ReasoningContent makes Chat encoders send the thinking of earlier turns back
	// as reasoning_content, for servers that demand it.
	ReasoningContent bool
	// ReasoningDetails makes Chat encoders send signed thinking of earlier turns
	// that came as reasoning_details back in that form, for servers that made it
	// (OpenRouter).
	ReasoningDetails bool
	// OwnSchemas makes Gemini encoders convert JSON Schemas into Gemini's own, for
	// servers that do not know parametersJsonSchema and responseJsonSchema.
	OwnSchemas bool
	// Can is what is known of the model.
	Can capability.Model
	// AnthropicVersion is the anthropic-version header that the request will have;
	// empty means 2023-06-01.
	AnthropicVersion string
	// CacheMarks lets OpenAI encoders turn cache marks into
	// prompt_cache_breakpoint where Can permits it.
	CacheMarks bool
	// ServerTools are the server tools that the model's operator has enabled
	// across formats.
	ServerTools ServerToolSet
	// Names takes the tool names that the encoder has to change. If it is nil,
	// answers keep the changed names.
	Names *Names
}
