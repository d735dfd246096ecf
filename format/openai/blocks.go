package openai

import (
	"fmt"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// fewBlocks is how many blocks are taken at a time. It begins with less.
const (
	firstBlocks = 4
	fewBlocks   = 64
)

// blockMemory hands out blocks in few pieces, of which each turn gets a part.
// Its zero value is ready for use.
type blockMemory struct {
	// request is whose memory the blocks are in; nil for those of an answer.
	request *chat.Request
	memory  []chat.Block
	from    int // where the open part begins
	total   int // of all parts
	// spare takes what comes above maxBlocks, so that a hostile request costs no
	// more memory than that.
	spare chat.Block
}

// maxBlocks is how many blocks of content a request may have: a hostile one could
// hold millions in a few bytes each.
const maxBlocks = 1 << 16

// full says that there were more blocks than a request may have.
func (m *blockMemory) full() bool { return m.total > maxBlocks }

// tooManyBlocks is the error for a request with more blocks than that.
func tooManyBlocks(field string) error {
	return chat.Invalid(field, fmt.Sprintf("a request has at most %d blocks of content", maxBlocks))
}

// expect says how many blocks are likely to come.
func (m *blockMemory) expect(n int) {
	m.memory = m.room(max(1, min(n, fewBlocks)))
}

// room returns memory for n blocks.
func (m *blockMemory) room(n int) []chat.Block {
	if m.request == nil {
		return make([]chat.Block, 0, n)
	}
	return m.request.MakeBlocks(n)
}

// open begins another part.
func (m *blockMemory) open() { m.from = len(m.memory) }

// add adds a block to the open part. The block stays where it is until the next
// one is added.
func (m *blockMemory) add(kind chat.BlockKind) *chat.Block {
	if m.total++; m.full() {
		m.spare = chat.Block{Kind: kind}
		return &m.spare
	}
	if len(m.memory) == cap(m.memory) {
		part := m.memory[m.from:]
		next := max(firstBlocks, min(2*cap(m.memory), fewBlocks), 2*len(part))
		m.memory = append(m.room(next), part...)
		m.from = 0
	}
	n := len(m.memory)
	m.memory = m.memory[:n+1] // zero: it was never used
	b := &m.memory[n]
	b.Kind = kind
	return b
}

// blocks returns the open part.
func (m *blockMemory) blocks() []chat.Block {
	return m.memory[m.from:len(m.memory):len(m.memory)]
}
