package chat

// EventKind tells what happened in a stream.
type EventKind uint8

// The kinds of events, with the fields of [Event] that each uses.
//
// A well-formed stream is Start, then for each block BlockStart, Deltas and
// BlockStop (blocks may overlap), one Finish, End. Usage may come anywhere, also
// between Finish and End. An Error ends a stream at any place; nothing follows
// it.
const (
	// EventStart opens the answer: ID, Model.
	EventStart EventKind = iota + 1
	// EventBlockStart opens block Index: Block (its kind); ID and Name of a tool call.
	EventBlockStart
	// EventDelta continues block Index: Delta and Text.
	EventDelta
	// EventBlockStop closes block Index.
	EventBlockStop
	// EventUsage brings the counts so far: they replace earlier ones.
	EventUsage
	// EventFinish says why the model stopped: Stop. The content is complete.
	EventFinish
	// EventError says what went wrong: Err. The last event.
	EventError
	// EventHeartbeat means nothing and keeps connections alive.
	EventHeartbeat
	// EventEnd says that the upstream has said everything. The last event.
	EventEnd
)

// DeltaKind tells what a delta carries.
type DeltaKind uint8

// The kinds of deltas.
const (
	// DeltaText continues a text block.
	DeltaText DeltaKind = iota + 1
	// DeltaThinking continues a thinking block.
	DeltaThinking
	// DeltaSignature brings the signature of a thinking block, or of a tool call:
	// there it comes first, before the arguments, for clients whose format has
	// to tell it in front of the call.
	DeltaSignature
	// DeltaArguments continues a tool call's arguments: Text is a literal whose
	// value is a fragment of the arguments' JSON text.
	DeltaArguments
	// DeltaRefusal continues a refusal.
	DeltaRefusal
	// DeltaRedacted continues the sealed data of redacted thinking.
	DeltaRedacted
	// DeltaCitation says where the text so far, or a part of it, comes from:
	// Citation. It belongs to a text block and has no Text.
	DeltaCitation
)

// Event is one step of a streamed answer. Its views are valid until the decoder
// that made it is called again.
type Event struct {
	Kind EventKind
	// Index is the number of the block, dense from 0 in order of appearance.
	Index int
	Block BlockKind
	Delta DeltaKind
	// ID is the id of the answer (EventStart) or of the tool call.
	ID Literal
	// Model is the model that answers (EventStart).
	Model Literal
	// Name is the name of the called tool.
	Name Literal
	Text Literal
	// Origin is the format that made a signature. That of the EventBlockStart of a
	// tool call says that a signature follows.
	Origin string
	// Citation is what a DeltaCitation brings.
	Citation *Citation
	// Logprobs are those of a DeltaText: a raw array as OpenAI's formats list them.
	Logprobs Raw
	// Usage points to the decoder's running count.
	Usage *Usage
	Stop  Stop
	Err   *Error
}
