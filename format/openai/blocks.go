package openai

import "github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"

// fewBlocks is how many blocks are allocated at a time: such a piece of memory
// is just small enough to be cheap. It begins with less.
const (
	firstBlocks = 4
	fewBlocks   = 64
)

// blockMemory allocates blocks in few pieces, of which each turn gets a part.
// Its zero value is ready for use.
type blockMemory struct {
	memory []chat.Block
	from   int // where the open part begins
}

// expect says how many blocks are likely to come.
func (m *blockMemory) expect(n int) {
	m.memory = make([]chat.Block, 0, max(1, min(n, fewBlocks)))
}

// open begins another part.
func (m *blockMemory) open() { m.from = len(m.memory) }

// add adds a block to the open part. The block stays where it is until the next
// one is added.
func (m *blockMemory) add(kind chat.BlockKind) *chat.Block {
	if len(m.memory) == cap(m.memory) {
		part := m.memory[m.from:]
		next := max(firstBlocks, min(2*cap(m.memory), fewBlocks), 2*len(part))
		m.memory = append(make([]chat.Block, 0, next), part...)
		m.from = 0
	}
	m.memory = append(m.memory, chat.Block{})
	b := &m.memory[len(m.memory)-1]
	b.Kind = kind
	return b
}

// blocks returns the open part.
func (m *blockMemory) blocks() []chat.Block {
	return m.memory[m.from:len(m.memory):len(m.memory)]
}
